//! Files with job specs, and other texts that are read as a whole.

use std::io::Read as _;
use std::path::Path;

use kol_common::KolError;
use kol_common::job::with_overrides;

/// Largest job spec, bytes.
const MAX_SPEC: usize = 1 << 20;

/// Reads a spec with `--set` applied.
///
/// # Errors
/// It cannot be read or is too large, or `--set` does not fit it.
pub fn read_spec(file: &Path, sets: &[(String, String)]) -> Result<String, KolError> {
    let bytes = read_whole(file, MAX_SPEC, "SPEC_FILE")?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let what = format!("{}:{line}: this is not UTF-8", file.display());
        KolError::user("SPEC_FILE", what).help("Give a job spec, in TOML.")
    })?;
    with_overrides(&text, sets)
}

/// Reads a file of at most so many bytes: also of one that has no end, no more is read. `code` is that of a
/// file that cannot be read.
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read_whole(file: &Path, most: usize, code: &'static str) -> Result<Vec<u8>, KolError> {
    let name = file.display();
    let failed = |e: std::io::Error| KolError::user(code, format!("cannot read {name}: {e}"));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    let mut opened = opened.take(most as u64 + 1);
    opened.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        let what = format!("{name} is larger than {} KiB", most >> 10);
        return Err(KolError::user("FILE_TOO_LARGE", what)
            .help("Check the path: such a file is a few KiB of text."));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_without_an_end_is_refused() {
        let error = read_spec(Path::new("/dev/zero"), &[]).unwrap_err();
        assert_eq!(error.code, "FILE_TOO_LARGE");
        assert!(
            error.message.contains("/dev/zero is larger than 1024 KiB"),
            "{error}"
        );
    }

    #[test]
    fn a_spec_that_is_no_text_is_named_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"name = \"x\"\n\xff\n").unwrap();
        let error = read_spec(file.path(), &[]).unwrap_err();
        assert_eq!(error.code, "SPEC_FILE");
        assert!(error.message.ends_with(":2: this is not UTF-8"), "{error}");
    }
}
