//! Compiles the interface definitions under `proto/`: the server's side for the crate, the client's side for its tests.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const PROTO: [&str; 3] = ["proto/streams.proto", "proto/gossip.proto", "proto/serverfeatures.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let definitions = protox::compile(PROTO, ["proto"])?;
    let server = ("server", false, true, "crate::rpc::Codec");
    let client = ("client", true, false, "tonic_prost::ProstCodec");
    for (side, client, server, codec) in [server, client] {
        let dir = out.join(side);
        fs::create_dir_all(&dir)?;
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(server)
            .bytes(".")
            .codec_path(codec)
            .out_dir(&dir)
            .include_file("protocol.rs")
            .compile_fds(definitions.clone())?;
    }
    Ok(())
}
