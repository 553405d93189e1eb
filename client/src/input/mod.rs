//! Events as people have them: the way into a cluster ([`cluster`]), the newest records of a topic
//! ([`newest`]), a topic to write to ([`topic`]), files ([`file`], [`bytes`], [`spec`]), which names in them mean what ([`names`], [`survey`]), and whether videos
//! stay in one partition ([`split`]).

pub mod bytes;
pub mod cluster;
pub mod file;
pub mod names;
pub mod newest;
pub mod spec;
pub mod split;
pub mod survey;
pub mod topic;
