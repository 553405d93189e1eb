//! The files of the pages that programs serve: what they need is there, and nothing of them comes from elsewhere, is
//! markup that a script writes, or is not needed.

use kol_common::net::files::{File, HTML, SCRIPT};

/// Places elsewhere, ways to write markup, and what the policy of the pages keeps from running.
const FORBIDDEN: [&str; 16] = [
    "http://",
    "https://",
    "\"//",
    "'//",
    "@import",
    "url(",
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    " style=",
    " onclick=",
    " onload=",
    "<style",
    "<script>",
];

fn faults(all: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut needed = vec!["/".to_owned()];
    for (path, _, content) in all {
        let named = content
            .split('"')
            .filter_map(|name| match name.strip_prefix("./") {
                Some(module) if module.ends_with(".js") => Some(format!("/page/{module}")),
                _ => name.starts_with("/page/").then(|| name.to_owned()),
            });
        needed.extend(named);
        // It is not ours.
        if path.contains("uPlot") {
            continue;
        }
        let text = content.replace("http://www.w3.org/2000/svg", "");
        let found = FORBIDDEN.iter().filter(|part| text.contains(**part));
        faults.extend(found.map(|part| format!("{part} in {path}")));
    }
    let is_served = |file: &String| all.iter().any(|(path, ..)| path == file);
    let missing = needed.iter().filter(|file| !is_served(file));
    faults.extend(missing.map(|file| format!("{file} is not served")));
    let is_needed = |path: &str| needed.iter().any(|file| file == path);
    let unused = all.iter().filter(|(path, ..)| !is_needed(path));
    faults.extend(unused.map(|(path, ..)| format!("nobody needs {path}")));
    faults
}

#[test]
fn pages_name_nothing_of_elsewhere_write_no_markup_and_have_all_their_files_once() {
    let pages: [Vec<File>; 2] = [
        kol_master::http::files().collect(),
        kol_serve::files().collect(),
    ];
    for page in pages {
        assert!(page.len() > 10, "{page:?}");
        assert_eq!(faults(&page), Vec::<String>::new());
    }
}

#[test]
fn what_a_page_must_not_have_is_found() {
    let page = |content| [("/", HTML, content), ("/page/a.js", SCRIPT, "")];
    assert_eq!(faults(&page("\"./a.js\"")), Vec::<String>::new());
    for (content, fault) in [
        ("\"./a.js\" http://x", "http:// in /"),
        ("\"./a.js\" <b style=x>", " style= in /"),
        ("", "nobody needs /page/a.js"),
        ("\"./a.js\" \"/page/b.css\"", "/page/b.css is not served"),
    ] {
        assert_eq!(faults(&page(content)), [fault], "{content}");
    }
}
