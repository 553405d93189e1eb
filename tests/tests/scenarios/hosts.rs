//! Several hosts whose links are cut; `make hosts-check` cuts them for longer.

use std::process::Command;

/// The exit status that means: it cannot run here.
const SKIPPED: i32 = 77;

#[test]
fn hosts_are_cut_off_and_come_back_and_redis_equals_the_fold() {
    let output = Command::new(env!("CARGO_BIN_EXE_kol-hosts"))
        .args(["--cut", "5", "--rate", "500"])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    println!("{out}");
    eprintln!("{err}");
    if output.status.code() == Some(SKIPPED) {
        return;
    }
    assert!(output.status.success(), "{}", output.status);
    assert!(out.contains("no two at one time"), "{out}");
}
