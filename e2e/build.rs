//! Generates a client of the gRPC interface from its definition, as any client would.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../command-api/proto");
    let definitions = protox::compile(["bookstock/v1/books.proto"], ["../command-api/proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(definitions)?;
    Ok(())
}
