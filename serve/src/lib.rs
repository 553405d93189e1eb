//! `kol-client serve`: rankings and creators over HTTP, as the system before this one served them. It keeps nothing and
//! reads nothing but Redis, so any number of processes may stand behind a balancer.
//!
//! | file | does |
//! |---|---|
//! | `server` | listens, and has the parts below |
//! | `link` | the connection to Redis, and when it is opened again |
//! | `cache` | answers that equal requests share for a moment |
//! | `reader` | what is read: one or two pipelines for each answer |
//! | `creator`, `shown`, `names` | what is read, as it is shown |
//! | `history` | rankings as they were, and how places have changed |
//! | `serving` | what all pages have: the reader, and what equal requests share |
//! | `query` | parameters, and what they may be |
//! | `answer`, `problem` | answers and errors as HTTP |
//! | `pages` | one function for each path |
//! | `dashboard` | the files of the dashboard |

mod answer;
mod cache;
mod creator;
mod dashboard;
mod history;
mod link;
mod names;
mod pages;
mod problem;
mod query;
mod reader;
mod server;
mod serving;
mod shown;
mod words;

pub use dashboard::files;
pub use pages::openapi;
pub use server::{Options, Server};
