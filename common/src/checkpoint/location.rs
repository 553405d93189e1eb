//! Where state files may be kept: a folder on disk, or one in a bucket.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::KolError;

/// What to write as a location.
pub const HELP: &str = "Write file:///PATH, a folder that master and executors share, or s3://BUCKET/PATH; \
                        without `..`.";

/// A checkpoint location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `file:///PATH`: an absolute path of the same folder on every host.
    Folder(PathBuf),
    /// `s3://BUCKET/PATH`, in S3 or a compatible service.
    Bucket {
        /// Name of the bucket; which service has it is the process's environment.
        bucket: String,
        /// Path below which everything lies, without slashes at its ends; may be empty.
        path: String,
    },
}

impl Location {
    /// Whether `other` is the same place or lies below it.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(root), Self::Folder(path)) => path.starts_with(root),
            (
                Self::Bucket { bucket, path },
                Self::Bucket {
                    bucket: other,
                    path: below,
                },
            ) => bucket == other && Path::new(below).starts_with(path),
            _ => false,
        }
    }

    fn folder(path: &str) -> Option<Self> {
        let path = PathBuf::from(path);
        let plain = path.components().all(|c| c != Component::ParentDir);
        (path.is_absolute() && plain).then_some(Self::Folder(path))
    }

    fn bucket(place: &str) -> Option<Self> {
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        let path = path.trim_end_matches('/');
        // Keys are signed and listed: characters that would have to be escaped for that are refused.
        let plain = path.is_empty() || path.split('/').all(is_name);
        (is_bucket(bucket) && plain).then(|| Self::Bucket {
            bucket: bucket.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Bucket naming rules of Amazon S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
fn is_bucket(name: &str) -> bool {
    let end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&b| end(b) || matches!(b, b'-' | b'.'))
        && bytes.first().is_some_and(|&b| end(b))
        && bytes.last().is_some_and(|&b| end(b))
}

fn is_name(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

impl FromStr for Location {
    type Err = KolError;

    fn from_str(text: &str) -> Result<Self, KolError> {
        let parsed = match text.split_once("://") {
            Some(("file", path)) => Self::folder(path),
            Some(("s3", place)) => Self::bucket(place),
            _ => None,
        };
        parsed.ok_or_else(|| {
            let what = format!("`{text}` is not a location for checkpoints");
            KolError::user("CHECKPOINT_LOCATION", what).help(HELP)
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{}", path.display()),
            Self::Bucket { bucket, path } if path.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, path } => write!(f, "s3://{bucket}/{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Location {
        text.parse().unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn folders_and_buckets_are_read_and_written_the_same() {
        for text in ["file:///srv/kol", "s3://kol-state", "s3://kol.state/a/b_1"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("s3://kol-state/a/").to_string(), "s3://kol-state/a");
    }

    #[test]
    fn a_text_that_is_no_location_or_leads_out_of_one_is_refused() {
        for text in [
            "",
            "/srv/kol",
            "file://srv/kol",
            "file:///srv/../etc",
            "ftp://somewhere",
            "s3a://kol-state",
            "s3://",
            "s3://ab",
            "s3://Kol/a",
            "s3://kol-/a",
            "s3://kol-state//a",
            "s3://kol-state/../b",
            "s3://kol-state/a?x=1",
            "s3://key:secret@kol-state/a",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert_eq!(error.code, "CHECKPOINT_LOCATION", "{text}");
            assert!(error.help.contains("s3://BUCKET/PATH"), "{error}");
        }
    }

    #[test]
    fn a_location_holds_itself_and_everything_below_it() {
        let holds = |root: &str, place: &str| parse(root).holds(&parse(place));
        assert!(holds("file:///srv/kol", "file:///srv/kol/a"));
        assert!(holds("s3://kol-state", "s3://kol-state/a"));
        assert!(holds("s3://kol-state/a", "s3://kol-state/a"));
        assert!(!holds("s3://kol-state/a", "s3://kol-state/ab"));
        assert!(!holds("s3://kol-state/a", "s3://kol-other/a"));
        assert!(!holds("file:///srv/kol", "file:///srv/kola"));
        assert!(!holds("file:///", "s3://kol-state"));
    }
}
