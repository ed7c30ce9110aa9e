//! Bytestreams as the runtime's traits have them, in band and by sockets.

mod common;

use bytestreams_stanza::Range;
use bytestreams_tokio::{Config, Endpoint, Method, Methods, Options};
use common::{jid, loopback, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn reading_into_no_room_ends_nothing() {
    for method in [Method::Socks5, Method::Ibb] {
        let mut config = Config::default();
        config.methods = Methods::from_slice(&[Method::Socks5, Method::Ibb]);
        config.allow_unannounced = true;
        let (a, b) = loopback("a@here/1", "b@here/2").await;
        let (a, _) = Endpoint::spawn(a, config.clone());
        let (_b, mut to_b) = Endpoint::spawn(b, config);
        let mut options = Options::default();
        options.methods = Methods::from_slice(&[method]);
        let stream = a.open(jid("b@here/2"), options);
        let (here, there) = soon(async {
            tokio::join!(stream.into_stream(), async {
                let offer = to_b.next().await.expect("an offer");
                let transfer = offer.accept(Range::default()).expect("a transfer");
                transfer.into_stream().await
            })
        })
        .await;
        let (mut here, mut there) = (here.expect("a stream"), there.expect("a stream"));
        soon(here.write_all(b"octets")).await.expect("room");
        soon(here.flush()).await.expect("room");
        for _ in 0..3 {
            let read = soon(there.read(&mut [])).await;
            assert_eq!(read.expect("a stream"), 0);
        }
        let mut octets = [0; 6];
        let read = soon(there.read_exact(&mut octets)).await;
        read.expect("octets");
        assert_eq!(&octets, b"octets", "{method:?}");
        soon(here.shutdown()).await.expect("a stream");
        let mut rest = Vec::new();
        let read = soon(there.read_to_end(&mut rest)).await;
        assert_eq!(read.expect("an end"), 0);
    }
}
