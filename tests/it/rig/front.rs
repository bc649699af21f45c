//! What stands between readers and the replicas: a balancer, or a proxy that caches badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// How it treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// One replica after the other.
    RoundRobin,
    /// The same, and it says itself that nothing changed to whoever has something.
    AnswersNotModified,
    /// The same, and the replicas do not hear what the reader has.
    DropsIfNoneMatch,
}

impl Front {
    /// Stands before servers (`http://host:port`); its address, and how many requests it has had.
    pub(crate) async fn before(self, servers: Vec<String>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let place = counted.load(Ordering::SeqCst) % servers.len();
                let server = servers[place].trim_start_matches("http://").to_owned();
                tokio::spawn(self.forward(client, server, Arc::clone(&counted)));
            }
        });
        (url, requests)
    }

    /// One request for each connection.
    async fn forward(self, mut client: TcpStream, server: String, counted: Arc<AtomicUsize>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = client.read_u8().await else { return };
            head.push(byte);
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let head = String::from_utf8(head).unwrap();
        let known = |line: &&str| line.to_ascii_lowercase().starts_with("if-none-match");
        if self == Self::AnswersNotModified && head.lines().any(|line| known(&line)) {
            let _ = client.write_all(b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n").await;
            return;
        }
        let mut lines: Vec<&str> = head.trim_end().lines().collect();
        if self == Self::DropsIfNoneMatch {
            lines.retain(|line| !known(line));
        }
        lines.push("connection: close\r\n\r\n");
        let Ok(mut upstream) = TcpStream::connect(server).await else { return };
        upstream.write_all(lines.join("\r\n").as_bytes()).await.unwrap();
        let _ = copy(&mut upstream, &mut client).await;
    }
}
