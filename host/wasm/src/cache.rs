//! Compiled code on disk, so that a component is compiled once and not at every start.
//!
//! Guarantees
//! * Only code that this host compiled itself is ever loaded: the folder and the files belong to
//!   the user of the process and to nobody else (0700 and 0600, no links), and a file is read as a
//!   whole and checked against the checksum in its head before a byte of it is used.
//! * A file that is damaged, cut off, of another component or of another build of the compiler is
//!   put aside and replaced; the component is compiled as if there were no file.
//! * The cache never fails a component: what goes wrong with it is logged once per file.
//!
//! It does not protect against a process of the same user, which could as well change flumen.
//!
//! A file is named `<digest of the component>-<digest of the compiler>.flc` and holds
//!
//! ```text
//! magic     8 bytes   "FLUMENC\x01"
//! component 32 bytes  SHA-256 of the component
//! compiler  32 bytes  SHA-256 of the compiler's version and settings
//! code      32 bytes  SHA-256 of what follows
//! ...                 compiled code
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flumen_core::Fault;
use rustix::process::geteuid;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::limits::COMPONENT_BYTES_MAX;

const MAGIC: &[u8; 8] = b"FLUMENC\x01";

/// Bytes before the code.
const HEAD_BYTES: usize = MAGIC.len() + 3 * Digest::BYTES;

/// Bytes of a cache file at most: compiled code was seen to be four times the component.
const FILE_BYTES_MAX: u64 = 8 * COMPONENT_BYTES_MAX;

/// Others may neither read nor write.
const OTHERS: u32 = 0o077;

/// The cache folder, checked.
pub(crate) struct CompileCache {
    folder: PathBuf,
    compiler: Digest,
}

impl CompileCache {
    /// Opens the folder, and makes it when there is none.
    ///
    /// # Errors
    /// A configuration fault when it cannot be made, or others could write into it.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Result<Self, Fault> {
        let shown = folder.display();
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| {
                Fault::configuration(format!("cannot make the cache folder {shown}"))
                    .with_cause(error)
            })?;
        let meta = fs::symlink_metadata(&folder).map_err(|error| {
            Fault::configuration(format!("cannot look at the cache folder {shown}"))
                .with_cause(error)
        })?;
        if !meta.is_dir() || meta.mode() & OTHERS != 0 || meta.uid() != geteuid().as_raw() {
            return Err(Fault::configuration(format!(
                "the cache folder {shown} has to be a folder of the user who runs flumen, with \
                 mode 0700, because the code in it is executed"
            )));
        }
        Ok(Self {
            folder,
            compiler: Digest::of_hash(engine.precompile_compatibility_hash()),
        })
    }

    /// The compiled code of a component, if there is a sound file of it.
    pub(crate) fn load(&self, engine: &Engine, component: &Digest) -> Option<Component> {
        let path = self.path(component);
        let found = match self.read(&path, component) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error),
            Ok(code) => deserialize(engine, &code).map_err(io::Error::other),
        };
        found
            .map_err(|error| {
                warn!(file = %path.display(), "compiled code is not used and made anew: {error}");
            })
            .ok()
    }

    /// Keeps compiled code. Readers see the old file or the whole new one.
    pub(crate) fn store(&self, component: &Digest, compiled: &Component) {
        let path = self.path(component);
        let stored = compiled
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&path, component, &code));
        if let Err(error) = stored {
            warn!(file = %path.display(), "compiled code is not kept: {error}");
        }
    }

    fn path(&self, component: &Digest) -> PathBuf {
        let name = format!("{component}-{}.flc", self.compiler.short());
        self.folder.join(name)
    }

    fn head(&self, component: &Digest, code: &[u8]) -> Vec<u8> {
        [
            MAGIC.as_slice(),
            component.as_bytes(),
            self.compiler.as_bytes(),
            Digest::of(code).as_bytes(),
        ]
        .concat()
    }

    /// The code of a file, which is sound and was written for this component and this compiler.
    fn read(&self, path: &Path, component: &Digest) -> io::Result<Vec<u8>> {
        let no_links = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(no_links)
            .open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.mode() & OTHERS != 0 || meta.uid() != geteuid().as_raw() {
            return Err(io::Error::other("others can write it"));
        }
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if read as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("it is too large"));
        }
        let Some(code) = bytes.get(HEAD_BYTES..) else {
            return Err(io::Error::other("it is cut off"));
        };
        if !bytes.starts_with(&self.head(component, code)) {
            return Err(io::Error::other("it is damaged or of another component"));
        }
        bytes.drain(..HEAD_BYTES);
        Ok(bytes)
    }

    fn write(&self, path: &Path, component: &Digest, code: &[u8]) -> io::Result<()> {
        // Two processes that write the same file at the same time each have their own draft.
        let draft = path.with_extension(format!("{}.draft", std::process::id()));
        let written = self.write_draft(&draft, component, code);
        let placed = written.and_then(|()| fs::rename(&draft, path));
        if placed.is_err() {
            let _ = fs::remove_file(&draft);
        }
        placed
    }

    fn write_draft(&self, draft: &Path, component: &Digest, code: &[u8]) -> io::Result<()> {
        let _ = fs::remove_file(draft);
        let mut file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(draft)?;
        // Not synced: a file that a power cut left half written fails its checksum.
        file.write_all(&self.head(component, code))?;
        file.write_all(code)
    }
}

#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code; who wrote it is checked by the caller"
)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `Component::serialize` gave to `CompileCache::store`: `read`
    // took them from a file that only this user can write, and compared them with the SHA-256 that
    // was written with them and with the identity of component and compiler. The bytes are in
    // memory already, so nobody changes them after the check.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    struct Rig {
        engine: Engine,
        folder: tempfile::TempDir,
        digest: Digest,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
            Self {
                engine: crate::engine::engine().unwrap(),
                folder,
                digest: Digest::of(EMPTY),
            }
        }

        fn cache(&self) -> CompileCache {
            CompileCache::open(self.folder.path().to_owned(), &self.engine).unwrap()
        }

        fn stored(&self) -> (CompileCache, PathBuf) {
            let cache = self.cache();
            let compiled = Component::from_binary(&self.engine, EMPTY).unwrap();
            cache.store(&self.digest, &compiled);
            let path = cache.path(&self.digest);
            (cache, path)
        }

        fn loads(&self, cache: &CompileCache) -> bool {
            cache.load(&self.engine, &self.digest).is_some()
        }
    }

    #[test]
    fn what_was_stored_is_loaded_and_nothing_is_left_behind() {
        let rig = Rig::new();
        assert!(!rig.loads(&rig.cache()));
        let (cache, path) = rig.stored();
        assert!(rig.loads(&cache));
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(rig.folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_changed_anywhere_is_not_executed() {
        let rig = Rig::new();
        let (cache, path) = rig.stored();
        let sound = fs::read(&path).unwrap();
        for at in [
            0,
            7,
            8,
            40,
            72,
            103,
            HEAD_BYTES,
            sound.len() / 2,
            sound.len() - 1,
        ] {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(!rig.loads(&cache), "byte {at}");
        }
        for len in [0, 7, HEAD_BYTES - 1, HEAD_BYTES, sound.len() - 1] {
            fs::write(&path, &sound[..len]).unwrap();
            assert!(!rig.loads(&cache), "cut to {len}");
        }
        fs::write(&path, &sound).unwrap();
        assert!(rig.loads(&cache));
    }

    #[test]
    fn the_file_of_another_component_or_with_an_honest_checksum_of_foreign_code_is_refused() {
        let rig = Rig::new();
        let (cache, path) = rig.stored();
        let other = Digest::of(b"another");
        fs::copy(&path, cache.path(&other)).unwrap();
        assert!(cache.load(&rig.engine, &other).is_none());
        let foreign = b"\x7fELF not made by wasmtime";
        let bytes = [cache.head(&rig.digest, foreign), foreign.to_vec()].concat();
        fs::write(&path, bytes).unwrap();
        assert!(!rig.loads(&cache));
    }

    #[test]
    fn a_file_or_folder_that_others_could_write_is_refused() {
        let rig = Rig::new();
        let (cache, path) = rig.stored();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        assert!(!rig.loads(&cache));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let moved = path.with_extension("moved");
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        assert!(!rig.loads(&cache));
        fs::set_permissions(rig.folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let refused = CompileCache::open(rig.folder.path().to_owned(), &rig.engine);
        let fault = refused.err().unwrap();
        assert!(fault.to_string().contains("0700"), "{fault}");
    }
}
