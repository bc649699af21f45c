//! What stands between a service and one of its servers, so that a test can take the server away.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// A proxy in front of a server, that can be shut: connections break and new ones are refused, as when it is stopped.
pub(crate) struct TcpProxy {
    address: String,
    open: watch::Sender<bool>,
}

impl TcpProxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, opened) = watch::channel(true);
        tokio::spawn(async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let (server, mut opened) = (server.clone(), opened.clone());
                tokio::spawn(async move {
                    if !*opened.borrow() {
                        return;
                    }
                    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut upstream) => {}
                        _ = opened.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, open }
    }

    pub(crate) fn shut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
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
