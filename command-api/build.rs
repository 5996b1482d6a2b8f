//! Compiles the interface definition under `proto/`: the server's side for the crate, the client's side for its tests.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let definitions = protox::compile(["bookstock/v1/books.proto"], ["proto"])?;
    // What reflection tells.
    fs::write(out.join("definitions.bin"), definitions.encode_to_vec())?;
    for (side, client, server) in [("server", false, true), ("client", true, false)] {
        let dir = out.join(side);
        fs::create_dir_all(&dir)?;
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(server)
            .out_dir(&dir)
            .compile_fds(definitions.clone())?;
    }
    Ok(())
}
