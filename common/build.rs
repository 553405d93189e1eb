//! Compiles the protos with a compiler written in Rust: a build needs no `protoc`.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../proto";
    let files = [
        "kol/v1/types.proto",
        "kol/v1/cluster.proto",
        "kol/v1/jobs.proto",
    ];
    println!("cargo:rerun-if-changed={root}");
    let descriptors = protox::compile(files, [root])?;
    let list = std::path::Path::new(&std::env::var("OUT_DIR")?).join("kol.v1.bin");
    std::fs::write(list, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Iterated in one order, whatever was counted first.
        .btree_map("kol.v1.PartitionCounters.rejected")
        .btree_map("kol.v1.PartitionCounters.lacks")
        .btree_map("kol.v1.MarketPartial.bins")
        // Far larger than the other messages that travel beside it.
        .boxed("kol.v1.ExecutorMessage.body.barrier_ack")
        .boxed("kol.v1.PartitionFailed.lost_tail")
        .compile_fds(descriptors)?;
    Ok(())
}
