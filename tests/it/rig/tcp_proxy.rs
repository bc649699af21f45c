//! What stands between a service and one of its servers, so that a test can take the server away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// A proxy in front of a server. It can be shut (connections break and new ones are refused, as when the server is stopped),
/// it can fall silent (nothing comes through, and nobody is told), and it can lose replies (what is asked reaches the server, and
/// what the server says is swallowed).
pub(crate) struct TcpProxy {
    address: String,
    ways: Arc<Ways>,
}

struct Ways {
    server: String,
    open: watch::Sender<bool>,
    /// Connections up to this number are silent.
    silent: watch::Sender<u64>,
    loses_replies: AtomicBool,
    made: AtomicU64,
}

impl TcpProxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ways = Arc::new(Ways {
            server,
            open: watch::Sender::new(true),
            silent: watch::Sender::new(0),
            loses_replies: AtomicBool::new(false),
            made: AtomicU64::new(0),
        });
        let to = Arc::clone(&ways);
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                let number = to.made.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(lead(client, number, Arc::clone(&to)));
            }
        });
        Self { address, ways }
    }

    pub(crate) fn shut(&self) {
        self.ways.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.ways.open.send_replace(true);
        self.ways.silent.send_replace(0);
    }

    /// The connections there are fall silent, as when their server's host is gone; new ones are well.
    pub(crate) fn silence_old(&self) {
        self.ways.silent.send_replace(self.ways.made.load(Ordering::SeqCst));
    }

    /// Whether replies are lost from now on, of all connections.
    pub(crate) fn lose_replies(&self, lose: bool) {
        self.ways.loses_replies.store(lose, Ordering::SeqCst);
    }

    /// All connections fall silent, new ones too, as when the server is stopped by SIGSTOP. [`Self::open`] has what was
    /// held up come through.
    pub(crate) fn silence(&self) {
        self.ways.silent.send_replace(u64::MAX);
    }
}

/// Leads one connection to the server, until an end of it closes or the proxy is shut.
async fn lead(client: TcpStream, number: u64, ways: Arc<Ways>) {
    if !*ways.open.borrow() {
        return;
    }
    let Ok(upstream) = TcpStream::connect(&ways.server).await else { return };
    let (client_reads, client_writes) = client.into_split();
    let (upstream_reads, upstream_writes) = upstream.into_split();
    let mut opened = ways.open.subscribe();
    tokio::select! {
        () = carry(client_reads, upstream_writes, number, (&ways, None)) => {}
        () = carry(upstream_reads, client_writes, number, (&ways, Some(&ways.loses_replies))) => {}
        _ = opened.wait_for(|open| !open) => {}
    }
}

/// Carries bytes one way, and holds them, and the end, while it is silent; or loses them.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    (ways, loses): (&Ways, Option<&AtomicBool>),
) {
    let mut heard = ways.silent.subscribe();
    let mut buffer = vec![0; 16_384];
    loop {
        let read = from.read(&mut buffer).await;
        if heard.wait_for(|silent| number > *silent).await.is_err() {
            return;
        }
        match read {
            Ok(0) | Err(_) => return,
            Ok(_) if loses.is_some_and(|loses| loses.load(Ordering::SeqCst)) => {}
            Ok(read) if to.write_all(&buffer[..read]).await.is_err() => return,
            Ok(_) => {}
        }
    }
}

pub(crate) fn host_of(url: &str, default_port: u16) -> String {
    let url = Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(default_port))
}

pub(crate) fn through(url: &str, proxy: &TcpProxy) -> String {
    let address = Url::parse(&format!("http://{}", proxy.address)).unwrap();
    let mut url = Url::parse(url).unwrap();
    url.set_host(address.host_str()).unwrap();
    url.set_port(address.port()).unwrap();
    url.to_string()
}
