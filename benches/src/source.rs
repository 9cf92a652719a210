//! Sources of lines, each a process of its own: a command that prints, as a run's phase, and one that posts, for peers.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{http, line};

/// Bytes printed at a time without a rate: the buffer of the C library's stdio for a pipe.
const STDIO: usize = 4096;

/// `print FILE RATE LENGTH COUNT`: waits for the file, then prints. A rate of 0 is as fast as the pipe takes it.
pub fn print(args: &[&str]) {
    let [file, rate, length, count] = args else { panic!("print FILE RATE LENGTH COUNT") };
    let (rate, length, count): (f64, usize, u64) =
        (rate.parse().unwrap(), length.parse().unwrap(), count.parse().unwrap());
    while !Path::new(file).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut out = std::io::stdout().lock();
    let mut buffer = Vec::with_capacity(2 * STDIO);
    if rate == 0.0 {
        for number in 1..=count {
            line::write(&mut buffer, number, length);
            if buffer.len() >= STDIO {
                out.write_all(&buffer).unwrap();
                buffer.clear();
            }
        }
        out.write_all(&buffer).unwrap();
        return;
    }
    let mut pace = Pace::new(rate);
    let mut number = 0;
    while number < count {
        for _ in 0..pace.due() {
            number += 1;
            line::write(&mut buffer, number, length);
        }
        out.write_all(&buffer).unwrap();
        buffer.clear();
    }
}

/// `post ADDRESS PATH RATE LENGTH CONNECTIONS COUNT`: one request a line, each answered before the connection's next.
pub fn post(args: &[&str]) {
    let [address, path, rate, length, connections, count] = args else {
        panic!("post ADDRESS PATH RATE LENGTH CONNECTIONS COUNT")
    };
    let rate: f64 = rate.parse().unwrap();
    let (length, connections, count): (usize, usize, u64) =
        (length.parse().unwrap(), connections.parse().unwrap(), count.parse().unwrap());
    let numbers = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                #[expect(clippy::cast_precision_loss, reason = "a handful of connections")]
                let mut pace = Pace::new(rate / connections as f64);
                let mut due = 0;
                loop {
                    while due == 0 {
                        due = pace.due();
                    }
                    due -= 1;
                    let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
                    if number > count {
                        return;
                    }
                    let mut body = Vec::with_capacity(length);
                    line::write(&mut body, number, length);
                    let head = format!(
                        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                    http::read_answer(&mut stream);
                }
            });
        }
    });
}

/// Returns how many lines are due, at most a thousand times a second. Delays are caught up.
pub struct Pace {
    rate: f64,
    began: Instant,
    given: u64,
}

impl Pace {
    pub fn new(rate: f64) -> Self {
        Self { rate, began: Instant::now(), given: 0 }
    }

    /// Sleeps until something is due; how many.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    pub fn due(&mut self) -> u64 {
        let next = self.began + Duration::from_secs_f64((self.given + 1) as f64 / self.rate);
        let pause = next.saturating_duration_since(Instant::now());
        // Above a thousand a second several are due at a time.
        std::thread::sleep(if self.rate > 1000.0 { pause.max(Duration::from_millis(1)) } else { pause });
        let due = (self.began.elapsed().as_secs_f64() * self.rate) as u64 - self.given;
        self.given += due;
        due
    }
}
