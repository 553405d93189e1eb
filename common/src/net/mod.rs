//! Listeners that are safe by default: loopback, or TLS and authentication, or a person says `--insecure`.
//!
//! 1. Without TLS a process listens on loopback addresses only, unless `--insecure` is given; then it warns each
//!    minute, and says so where people look.
//! 2. With TLS (`--tls DIR`) executors show a certificate of the cluster's authority that is made out to
//!    [`EXECUTOR`]; people and scrapers show a token. Nothing but health is answered without.
//! 3. Certificates and tokens are read again while the process runs. What cannot be read changes nothing. A connection is
//!    cut when the certificate of its other end is no longer valid.
//! 4. Where there is no login, a listener on loopback answers only requests that name it so: see `hosts`.
//! 5. Connections, the time to say something, and the time of a request have limits before anything is read.

mod answering;
pub mod authority;
mod connection;
mod credentials;
mod dial;
pub mod files;
mod folder;
mod health;
mod hosts;
mod http;
mod listener;
mod protection;
mod random;
mod session;
mod tls;
mod tokens;
mod trust;

pub use connection::{Connection, Peer};
pub use credentials::{Credentials, EXECUTOR};
pub use dial::{Dialer, endpoint, with_schemes};
pub use health::check_health;
pub use http::{is_open_to_all, open_to_all, protect, serve_http};
pub use listener::{Limits, accept};
pub use protection::{NOBODY, Protection, Refused, is_this_machine};
pub use tls::tls_failure;
pub use tokens::{Principal, Role, Tokens, new_token};
pub use trust::{Trust, dialer_of_person};

#[cfg(test)]
mod tests;
