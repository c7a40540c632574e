//! A real Redis server as a child process.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::tokens::repository;

/// How long it may take until it is ready, or answers.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A running server, reached through a socket in the file system. Dropping it ends the process.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    socket: PathBuf,
}

impl Redis {
    /// Starts a server that keeps nothing on disk: `REDIS_SERVER`, else `redis-server` on `PATH`,
    /// else what `tests/find-redis.sh` has left.
    pub fn start() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-redis-{}-{count}.sock", std::process::id());
        let socket = env::temp_dir().join(name);
        let process = Command::new(locate())
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                let text =
                    format!("{error}; tests/find-redis.sh fetches Redis, and make test runs it");
                io::Error::new(error.kind(), text)
            })?;
        let mut redis = Self { process, socket };
        redis.wait_until_ready()?;
        Ok(redis)
    }

    /// Where clients connect.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let ready = Client::connect(&self.socket).and_then(|mut client| client.ping());
            match ready {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("Redis has ended: {status}")));
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

fn locate() -> PathBuf {
    if let Some(named) = env::var_os("REDIS_SERVER").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let on_path = env::var_os("PATH").and_then(|search| {
        env::split_paths(&search)
            .map(|folder| folder.join("redis-server"))
            .find(|path| path.is_file())
    });
    on_path.unwrap_or_else(|| repository().join(".cache/redis/redis-server"))
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// Connects.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Adds to a counter that is forgotten after some time, and says what it is then.
    pub fn add(&mut self, counter: &str, by: u64, forgotten_after: Duration) -> io::Result<u64> {
        let (by, seconds) = (by.to_string(), forgotten_after.as_secs().to_string());
        self.send(&["INCRBY", counter, &by])?;
        self.send(&["EXPIRE", counter, &seconds])?;
        let counted = self.integer()?;
        self.integer()?;
        Ok(counted)
    }

    fn ping(&mut self) -> io::Result<()> {
        self.send(&["PING"])?;
        match self.reply()?.as_str() {
            "+PONG" => Ok(()),
            other => Err(io::Error::other(other.to_owned())),
        }
    }

    /// RESP: a command is an array of strings, each with its length.
    fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(command.as_bytes())
    }

    fn integer(&mut self) -> io::Result<u64> {
        let reply = self.reply()?;
        let number = reply.strip_prefix(':').and_then(|text| text.parse().ok());
        number.ok_or_else(|| io::Error::other(reply))
    }

    fn reply(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
