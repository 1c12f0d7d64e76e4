//! Listens on a port and writes what comes into files, for programs that send their output.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

/// A listener and its thread.
pub(super) struct Listener {
    port: u16,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the port is taken.
    pub(super) fn bind(port: u16, folder: &Path) -> Result<Listener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("listen on port {port}"))?;
        let ended = Arc::new(AtomicBool::new(false));
        let (flag, folder) = (Arc::clone(&ended), folder.to_owned());
        let thread = thread::spawn(move || accept(&listener, &flag, &folder));
        Ok(Listener {
            port,
            ended,
            thread,
        })
    }

    /// Ends when every connection has ended, so once the program is gone.
    ///
    /// # Errors
    /// When something could not be written.
    pub(super) fn end(self) -> Result<()> {
        self.ended.store(true, Ordering::SeqCst);
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("wake the listener")?;
        let outcome = self.thread.join();
        outcome.map_err(|_| anyhow!("the listener broke"))??;
        Ok(())
    }
}

/// Takes connections until the end is told, and then those that are waiting.
fn accept(listener: &TcpListener, ended: &AtomicBool, folder: &Path) -> io::Result<()> {
    let mut copies = Vec::new();
    for number in 0.. {
        let stream = match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            accepted => accepted?.0,
        };
        if ended.load(Ordering::SeqCst) {
            listener.set_nonblocking(true)?;
        }
        let path = folder.join(format!("connection-{number}"));
        copies.push(thread::spawn(move || copy(stream, path)));
    }
    for copy in copies {
        copy.join()
            .map_err(|_| io::Error::other("a copy broke"))??;
    }
    Ok(())
}

fn copy(mut stream: TcpStream, path: PathBuf) -> io::Result<()> {
    match io::copy(&mut stream, &mut File::create(path)?) {
        // That is how a connection of a killed process may end.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        outcome => outcome.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flumen_tests::ports;

    use super::*;

    #[test]
    fn what_comes_is_in_files_when_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let port = ports::free_port().unwrap();
        let listener = Listener::bind(port, folder.path()).unwrap();
        for text in ["one", "two"] {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
        listener.end().unwrap();
        let read = |number| fs::read_to_string(folder.path().join(format!("connection-{number}")));
        assert_eq!(read(0).unwrap() + &read(1).unwrap(), "onetwo");
    }
}
