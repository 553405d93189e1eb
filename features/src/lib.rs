//! Empty. Its dependencies are crates that binaries and tests share indirectly, with the features that only
//! the tests' dependencies enable. kol-common depends on it, so every build selects the same features and
//! no crate is compiled twice. A new entry is needed when the scenario `builds` fails; it names the crate.
