//! Real file systems that may be filled, cut off and thrown away: ext4 on a loop device, over a
//! plain file or over a faulty disk, and tmpfs. All mounts are in a namespace of the rig's own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::faulty_disk;

/// Where images of disks lie: in memory, where syncing them costs nothing. That they do not survive
/// a power cut of this machine is none of the test's concern.
const MEMORY: &str = "/dev/shm";

/// A mounted file system. Unmounted when dropped.
pub(crate) struct Volume {
    /// Where it is mounted.
    pub(crate) folder: PathBuf,
    image: PathBuf,
    /// Removes what was made for it.
    _files: tempfile::TempDir,
    disk: Option<FaultyDisk>,
}

/// The process of a faulty disk.
struct FaultyDisk {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Volume {
    /// An ext4 of this size on a plain file.
    ///
    /// # Errors
    /// When this machine lacks the rights or the programs.
    pub(crate) fn ext4(mebibytes: u64) -> Result<Volume> {
        let files = files()?;
        let image = files.path().join("image");
        File::create(&image)?.set_len(mebibytes << 20)?;
        Volume::make(files, image, None)
    }

    /// An ext4 of this size on a faulty disk.
    ///
    /// # Errors
    /// When this machine lacks the rights, the programs or FUSE.
    pub(crate) fn faulty(mebibytes: u64) -> Result<Volume> {
        faulty_disk::check()?;
        let files = files()?;
        let under = files.path().join("disk");
        fs::create_dir(&under)?;
        let disk = FaultyDisk::start(&under, mebibytes)?;
        Volume::make(files, under.join(faulty_disk::FILE_NAME), Some(disk))
    }

    /// A tmpfs of this size.
    ///
    /// # Errors
    /// When this machine lacks the rights.
    pub(crate) fn tmpfs(mebibytes: u64) -> Result<Volume> {
        let files = files()?;
        let folder = files.path().join("mount");
        fs::create_dir(&folder)?;
        let size = format!("size={mebibytes}m");
        let path = folder.display().to_string();
        call("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &path])?;
        Ok(Volume {
            folder,
            image: PathBuf::new(),
            _files: files,
            disk: None,
        })
    }

    fn make(files: tempfile::TempDir, image: PathBuf, disk: Option<FaultyDisk>) -> Result<Volume> {
        let folder = files.path().join("mount");
        fs::create_dir(&folder)?;
        let path = image.display().to_string();
        // A small journal, and everything written at once, so that mounting leaves no thread
        // behind that goes on zeroing.
        let eager = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        call(
            "mkfs.ext4",
            &[
                "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E", eager, &path,
            ],
        )?;
        let volume = Volume {
            folder,
            image,
            _files: files,
            disk,
        };
        volume.mount()?;
        Ok(volume)
    }

    fn mount(&self) -> Result<()> {
        let (image, folder) = (self.image.display(), self.folder.display());
        call(
            "mount",
            &[
                "-t",
                "ext4",
                "-o",
                "loop",
                &image.to_string(),
                &folder.to_string(),
            ],
        )
    }

    fn unmount(&self) -> Result<()> {
        call("umount", &[&self.folder.display().to_string()])
    }

    /// Cuts the file system off from its disk, as a power cut does: what was not synced is gone.
    /// Only `Volume::remount` ends that.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn shut_down(&self) -> Result<()> {
        // EXT4_IOC_SHUTDOWN, `_IOR('X', 125, __u32)`, with 2: the journal is not written either.
        // By perl, which is on every machine with dpkg: an ioctl is unsafe, and forbidden here.
        let program = r#"open(my $f, "<", $ARGV[0]) or die "open: $!\n";
            my $how = pack("L", 2);
            ioctl($f, 0x8004587D, $how) or die "shut down: $!\n";"#;
        call("perl", &["-e", program, &self.folder.display().to_string()])
    }

    /// Puts on the disk what is in the file system so far.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn sync(&self) -> Result<()> {
        call("sync", &["-f", &self.folder.display().to_string()])
    }

    /// Gives the faulty disk an order.
    ///
    /// # Errors
    /// When there is no such disk, or it is gone.
    pub(crate) fn disk(&mut self, order: &str) -> Result<()> {
        self.disk.as_mut().context("no faulty disk")?.order(order)
    }

    /// The machine comes back: unmounts, gives a faulty disk its power, and mounts again.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub(crate) fn remount(&mut self) -> Result<()> {
        self.unmount()?;
        if let Some(disk) = &mut self.disk {
            disk.order("restore")?;
        }
        self.mount()
    }

    /// Takes all room there is, and returns the file that holds it.
    ///
    /// # Errors
    /// When something else than room is missing.
    pub(crate) fn fill(&self) -> Result<PathBuf> {
        let path = self.folder.join("filler");
        let mut file = File::options().create(true).append(true).open(&path)?;
        for length in [64 * 1024, 4096] {
            loop {
                match file.write_all(&vec![1; length]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("fill a volume"),
                }
            }
        }
        Ok(path)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // When it cannot be unmounted it goes with the namespace.
        let _ = call("umount", &["--lazy", &self.folder.display().to_string()]);
        if let Some(disk) = self.disk.take() {
            disk.stop();
        }
    }
}

impl FaultyDisk {
    fn start(under: &Path, mebibytes: u64) -> Result<FaultyDisk> {
        let own = std::env::current_exe().context("find the running program")?;
        let mut child = Command::new(own)
            .arg("disk")
            .arg(under)
            .arg(mebibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the faulty disk")?;
        let orders = child.stdin.take().context("no pipe")?;
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut disk = FaultyDisk {
            child,
            orders,
            answers,
        };
        disk.answer()?;
        Ok(disk)
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").context("speak to the faulty disk")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.trim_end() != "done" {
            bail!("the faulty disk ended; see what it printed");
        }
        Ok(())
    }

    fn stop(mut self) {
        drop(self.orders);
        // It ends when nobody speaks to it, and has nothing more to tell.
        let _ = self.child.wait();
    }
}

fn files() -> Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("flumen-crash-");
    match Path::new(MEMORY).is_dir() {
        true => builder.tempdir_in(MEMORY),
        false => builder.tempdir(),
    }
    .context("make a folder for a volume")
}

/// Runs a program of the system.
fn call(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {program}; is it installed?"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{program} {}: {}; it needs root",
            arguments.join(" "),
            told.trim_end()
        );
    }
    Ok(())
}
