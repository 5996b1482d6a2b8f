//! Services that are bare sockets: healthy when asked, and they tell what they were sent.

use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Reads the head of a request; nothing if the connection ends instead.
pub(crate) async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Answers every request with its own address and the head of that request.
pub(crate) async fn tells_what_it_is_sent(at: &str) -> Option<SocketAddr> {
    let listener = TcpListener::bind(at).await.ok()?;
    let addr = listener.local_addr().ok()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some(head) = head(&mut stream).await {
                    let told = format!("at: {addr}\r\n{head}");
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{told}", told.len());
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    Some(addr)
}

/// A line of what such a service tells.
pub(crate) fn line<'a>(told: &'a str, name: &str) -> &'a str {
    let mut lines = told.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
}
