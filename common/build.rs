//! Compiles the protos with a compiler written in Rust: a build needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../proto";
    let files = [
        "kol/v1/types.proto",
        "kol/v1/cluster.proto",
        "kol/v1/jobs.proto",
    ];
    println!("cargo:rerun-if-changed={root}");
    let descriptors = protox::compile(files, [root])?;
    tonic_prost_build::configure()
        // Iterated in one order, whatever was counted first.
        .btree_map("kol.v1.PartitionCounters.rejected")
        .btree_map("kol.v1.PartitionCounters.lacks")
        // Far larger than the other messages that travel beside it.
        .boxed("kol.v1.ExecutorMessage.body.barrier_ack")
        .compile_fds(descriptors)?;
    Ok(())
}
