//! A disk that loses, tears and refuses: one file in a file system of this program's own (FUSE),
//! on which the rig puts a loop device and a real ext4.
//!
//! The kernel speaks to it through `/dev/fuse`, in the protocol of `linux/fuse.h`; only what a loop
//! device and `mkfs` ask for is answered. A process of its own: the rig, which waits for calls on
//! the file system above, must not be the one that has to answer them.
//!
//! It is told what to do by lines on its standard input, and answers each with `done`:
//!
//! | line | |
//! |---|---|
//! | `cut SEED` | the power goes now |
//! | `cut-at-flush N SEED` | the power goes at the n-th flush from now: before it when the seed is even, else behind it |
//! | `fail-frame N` | the n-th write from now that carries frames of the log fails, and is not kept |
//! | `restore` | the power is back |

use std::fs::{self, File};
use std::io::{BufRead, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use image::Image;
use protocol::{Answer, Request};

mod image;
mod protocol;

/// The file in the folder of the mount.
pub(crate) const FILE_NAME: &str = "disk";

/// What the kernel writes at once at most, and room for the head of the request.
const REQUEST_BYTES_MAX: usize = protocol::WRITE_BYTES_MAX as usize + 8192;

type Shared = Arc<Mutex<Image>>;

fn lock(image: &Shared) -> MutexGuard<'_, Image> {
    // Held for a copy of bytes.
    image.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Mounts a disk of this size on a folder and serves it until the standard input ends.
///
/// # Errors
/// When it cannot be mounted.
pub(crate) fn serve(folder: &Path, bytes: usize) -> Result<()> {
    let device = File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .context("open /dev/fuse; the faulty disk needs root and FUSE in the kernel")?;
    let data = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0",
        device.as_raw_fd()
    );
    let data = std::ffi::CString::new(data)?;
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    mount("flumen-crash", folder, "fuse", flags, data.as_c_str())
        .context("mount the faulty disk; it needs root")?;
    let image: Shared = Arc::new(Mutex::new(Image::new(bytes)));
    let serving = Arc::clone(&image);
    // Not waited for: it ends with the mount.
    thread::spawn(move || answer_all(device, &serving));
    let mut out = std::io::stdout();
    writeln!(out, "done")?;
    for line in std::io::stdin().lock().lines() {
        obey(&line?, &image)?;
        writeln!(out, "done")?;
    }
    // When that fails the mount is empty from now on, and goes with its namespace.
    let _ = unmount(folder, UnmountFlags::DETACH);
    Ok(())
}

fn obey(line: &str, image: &Shared) -> Result<()> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let mut image = lock(image);
    match words.as_slice() {
        ["cut", seed] => image.cut(seed.parse()?),
        ["cut-at-flush", number, seed] => image.cut_at_flush(number.parse()?, seed.parse()?),
        ["fail-frame", number] => image.fail_frame(number.parse()?),
        ["restore"] => image.restore(),
        other => bail!("no disk can {other:?}"),
    }
    Ok(())
}

fn answer_all(mut device: File, image: &Shared) {
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    // An error means that nobody uses the mount any more, or that a request was withdrawn.
    loop {
        let read = match device.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => return,
            Err(_) => continue,
        };
        let Some(request) = Request::decode(buffer.get(..read).unwrap_or_default()) else {
            continue;
        };
        if let Some(bytes) = answer(&request, image).encode(&request) {
            // A request that was withdrawn meanwhile wants no answer.
            let _ = device.write(&bytes);
        }
    }
}

fn answer(request: &Request<'_>, image: &Shared) -> Answer {
    let mut image = lock(image);
    protocol::dispatch(request, &mut image)
}

/// Says what is missing when this machine cannot have a faulty disk.
///
/// # Errors
/// When it cannot.
pub(crate) fn check() -> Result<()> {
    fs::metadata("/dev/fuse")
        .map(drop)
        .context("/dev/fuse is missing; the faulty disk needs FUSE in the kernel")
}
