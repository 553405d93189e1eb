use axum::http::Request;

use super::*;

async fn refused(query: &str) -> String {
    let request = Request::builder()
        .uri(format!("/?{query}"))
        .body(())
        .unwrap();
    let (mut parts, ()) = request.into_parts();
    let read = Params::<Listing>::from_request_parts(&mut parts, &()).await;
    format!("{:?}", read.unwrap_err())
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_refused_in_plain_words() {
    for (query, what) in [
        ("offset=x", "\"offset is a whole number from 0 on"),
        ("offset=", "\"offset is a whole number from 0 on"),
        ("offset=-1", "\"offset is a whole number from 0 on"),
        (
            "offset=99999999999999999999",
            "\"offset is a whole number from 0 on",
        ),
        ("no=1", "\"there is no parameter `no`, expected one of"),
        ("offset=1&offset=2", "\"given twice: parameter `offset`"),
        ("metric=x", "\"metric: there is no value `x`, expected"),
    ] {
        let text = refused(query).await;
        assert!(text.contains(what), "{query}: {text}");
        assert!(
            !text.contains("deserialize") && !text.contains("digit found"),
            "{text}"
        );
    }
}
