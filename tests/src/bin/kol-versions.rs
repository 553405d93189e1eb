//! `make versions-check`.

fn main() {
    kol_tests::versions::run();
}
