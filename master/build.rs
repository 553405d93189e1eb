//! Compiles the part of etcd's API that masters use, as `common/build.rs` does with KOL's own protos.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../proto";
    println!("cargo:rerun-if-changed={root}/etcd");
    let descriptors = protox::compile(["etcd/rpc.proto"], [root])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
