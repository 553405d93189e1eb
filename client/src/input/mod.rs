//! Events as people have them: the way into a cluster ([`cluster`]), the newest records of a topic
//! ([`newest`]), files ([`file`], [`spec`]), and which names in them mean what ([`names`], [`survey`]).

pub mod cluster;
pub mod file;
pub mod names;
pub mod newest;
pub mod spec;
pub mod survey;
