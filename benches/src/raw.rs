//! The limit of fan-out: a program that only writes each line, framed as Runtrail frames it, to every socket. The
//! client's figures for it are the client's own floor. With a commit before each line, it is the limit of every server
//! that stores its frames in SQLite.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::source::Pace;
use crate::{append, line};

/// `raw FILE READERS RATE LENGTH COUNT COMMIT`: serves so many readers; writes from when the file is there. COMMIT is
/// `true` or
/// `false`.
pub fn serve(args: &[&str]) {
    let [file, readers, rate, length, count, commit] = args else {
        panic!("raw FILE READERS RATE LENGTH COUNT COMMIT")
    };
    let (readers, rate, length, count): (usize, f64, usize, u64) =
        (readers.parse().unwrap(), rate.parse().unwrap(), length.parse().unwrap(), count.parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("Raw serves http://{}", listener.local_addr().unwrap());
    let accept = |_| {
        let mut stream: TcpStream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..readers).map(accept).collect();
    while !Path::new(file).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut database = (*commit == "true").then(|| append::open(&Path::new(file).with_file_name("raw.db"), "FULL"));
    let mut pace = Pace::new(rate);
    let mut number = 0;
    while number < count {
        let mut piece = Vec::new();
        let first = number + 1;
        for _ in 0..pace.due() {
            number += 1;
            let head = format!(
                "id: {number}\ndata: {{\"seq\":{number},\"ts\":\"2026-11-21T10:00:00.123Z\",\"attempt\":1,\"phase\":\"print\",\
                 \"kind\":\"log\",\"data\":{{\"stream\":\"stdout\",\"line\":\""
            );
            piece.extend_from_slice(head.as_bytes());
            line::write(&mut piece, number, length);
            piece.pop();
            piece.extend_from_slice(b"\"}}\n\n");
        }
        if let Some(database) = &mut database {
            let tx = database.transaction().unwrap();
            for number in first..=number {
                let mut line = Vec::new();
                line::write(&mut line, number, length);
                let row = (1, number.cast_signed(), 0, 1, "print", "log", str::from_utf8(&line).unwrap());
                tx.prepare_cached(append::INSERT).unwrap().execute(row).unwrap();
            }
            tx.commit().unwrap();
        }
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
        for stream in &mut streams {
            stream.write_all(&chunk).unwrap();
        }
    }
    // The client closes first, and then this is killed.
    std::thread::sleep(Duration::from_secs(60));
}
