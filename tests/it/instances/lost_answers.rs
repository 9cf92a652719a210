//! The connection that writes is lost in the middle of a commit, before or after the server has made it: in both cases
//! the frames are in the journal once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use runtrail::journal::{GroupCommit, Journal};
use runtrail::store::{Lease, PostgresOptions, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::support::TestDatabase;
use crate::support::database::postgres_server;
use crate::support::writes::{append, claim, new_run};

/// A `COMMIT` as the protocol has it: a simple query.
const COMMIT: &[u8] = b"Q\x00\x00\x00\x0bCOMMIT\x00";

/// What is lost of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Loss {
    None,
    /// The server never hears of it.
    Request,
    /// The server makes it, and its answer is lost.
    Answer,
}

/// Stands between an instance and the server.
struct CommitProxy {
    url: String,
    loss: Arc<AtomicU8>,
}

impl CommitProxy {
    async fn start(database: &TestDatabase) -> Self {
        let server = postgres_server().rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = database.url().replace(&server, &listener.local_addr().unwrap().to_string());
        let loss = Arc::new(AtomicU8::new(Loss::None as u8));
        let armed = Arc::clone(&loss);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&armed)));
            }
        });
        Self { url, loss }
    }

    fn lose(&self, loss: Loss) {
        self.loss.store(loss as u8, Ordering::SeqCst);
    }

    /// Whether the loss has happened.
    fn has_lost(&self) -> bool {
        self.loss.load(Ordering::SeqCst) == Loss::None as u8
    }
}

/// Forwards both ways. Both connections are closed when one is, and when a commit is lost.
async fn forward(client: TcpStream, server: TcpStream, armed: Arc<AtomicU8>) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_server, &mut to_client) => return,
        loss = requests(from_client, to_server, &armed) => if loss != Loss::Answer { return },
    }
    // The server has answered when there is something to read, which nobody gets.
    let _ = from_server.read(&mut [0; 1024]).await;
}

/// Forwards requests, up to a commit that is to be lost.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, armed: &AtomicU8) -> Loss {
    let mut bytes = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let is_commit = bytes[..length].ends_with(COMMIT);
        let loss = if is_commit { armed.swap(Loss::None as u8, Ordering::SeqCst) } else { Loss::None as u8 };
        if loss == Loss::Request as u8 {
            return Loss::Request;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            break;
        }
        if loss == Loss::Answer as u8 {
            // Kept open until the answer was read, by `forward`.
            to.forget();
            return Loss::Answer;
        }
    }
    Loss::None
}

#[tokio::test]
async fn instance_commit_that_is_lost_is_made_once() {
    let database = TestDatabase::on_server();
    let proxy = CommitProxy::start(&database).await;
    let options =
        PostgresOptions { url: proxy.url.clone(), password_file: None, max_read_connections: NonZeroU32::MIN };
    let store = Store::open_postgres(&options).await.unwrap();
    let (journal, writer) = Journal::new(Arc::new(store.clone()), GroupCommit::default());
    tokio::spawn(writer.run());
    let run = journal.create(new_run()).await.unwrap().key;
    let token = journal.write(claim(run, 1)).await.unwrap().token;
    let lease = Lease { run, attempt: 1, token };
    let mut expected = vec!["claimed".to_owned()];
    for (number, loss) in [Loss::Answer, Loss::Request, Loss::Answer, Loss::Request, Loss::None].into_iter().enumerate()
    {
        proxy.lose(loss);
        let line = format!("line {number}");
        journal.write(append(lease, &[&line])).await.unwrap();
        assert!(proxy.has_lost(), "{loss:?}");
        expected.push(line);
    }
    let (frames, head) = store.frames(run, 0, 100).await.unwrap();
    let lines: Vec<_> = frames.iter().map(|frame| frame.to_json()).collect();
    assert_eq!(head.head, expected.len() as u64, "{lines:?}");
    for (index, (frame, line)) in frames.iter().zip(&expected).enumerate() {
        assert!(frame.data.contains(&format!("\"{line}\"")), "frame {index}: {}", frame.data);
    }
    assert_eq!(frames.len(), expected.len());
}
