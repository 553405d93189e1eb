//! What a library says of parameters, in plain words.

/// What is wrong with parameters, in words of people who write them. What is not known stays as it is.
pub(crate) fn plain(refused: &str) -> String {
    let what = refused.strip_prefix("Failed to deserialize query string: ");
    let what = what.unwrap_or(refused);
    let (name, why) = what.split_once(": ").unwrap_or(("", what));
    let is_number = [
        "invalid digit found in string",
        "cannot parse integer from empty string",
        "number too large to fit in target type",
    ];
    if is_number.contains(&why) {
        return format!("{name} is a whole number from 0 on, of at most 19 digits");
    }
    for (theirs, ours) in [
        ("unknown field ", "there is no parameter "),
        ("missing field ", "missing parameter "),
        ("duplicate field ", "given twice: parameter "),
    ] {
        if let Some(rest) = why.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    what.replacen("unknown variant ", "there is no value ", 1)
}
