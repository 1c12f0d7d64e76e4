//! The folder and the files of a simulated disk.

use super::below::Below;
use super::{
    Arc, Call, Disk, Inner, Inode, LogFile, LogIo, NameChange, Pending, io, power_is_off, put,
};

/// A handle of one run.
struct Handle {
    disk: Disk,
    inode: u64,
    name: String,
    run: u64,
}

impl Disk {
    fn handle(&self, inode: u64, name: &str, run: u64) -> Arc<dyn LogFile> {
        Arc::new(Handle {
            disk: self.clone(),
            inode,
            name: name.to_owned(),
            run,
        })
    }

    /// Runs a call that changes names.
    fn change(
        &self,
        call: Call,
        change: impl FnOnce(&mut Inner) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut inner = self.lock();
        let run = inner.run;
        let goes_on = inner.call(run, call)?;
        change(&mut inner)?;
        if goes_on { Ok(()) } else { Err(power_is_off()) }
    }
}

/// Frees the folder when the run that locked it still goes on.
struct Guard {
    disk: Disk,
    run: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut inner = self.disk.lock();
        if inner.run == self.run {
            inner.locked = false;
        }
    }
}

impl LogIo for Disk {
    fn lock(&self) -> io::Result<Box<dyn Send + Sync>> {
        let mut inner = Disk::lock(self);
        if inner.locked {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        inner.locked = true;
        Ok(Box::new(Guard {
            disk: self.clone(),
            run: inner.run,
        }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let inner = Disk::lock(self);
        inner.alive(inner.run)?;
        Ok(inner.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let inner = Disk::lock(self);
        inner.alive(inner.run)?;
        let found = inner.names.get(name).copied();
        let inode = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(self.handle(inode, name, inner.run))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut made = None;
        self.change(Call::Create, |inner| {
            if inner.names.contains_key(name) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            let inode = inner.link_new(name);
            let change = NameChange::Link(name.to_owned(), inode);
            inner.pending_names.push(change);
            made = Some((inode, inner.run));
            Ok(())
        })?;
        let (inode, run) = made.ok_or_else(power_is_off)?;
        Ok(self.handle(inode, name, run))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Call::Rename, |inner| {
            let moved = inner.names.remove(from);
            let inode = moved.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            inner.names.insert(to.to_owned(), inode);
            // One change of the journal: a cut between the two would be a name too many or few.
            inner
                .pending_names
                .push(NameChange::Move(from.to_owned(), to.to_owned(), inode));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(Call::Remove, |inner| {
            let removed = inner.names.remove(name);
            removed.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            inner
                .pending_names
                .push(NameChange::Unlink(name.to_owned()));
            Ok(())
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut inner = Disk::lock(self);
        let run = inner.run;
        if !inner.call(run, Call::SyncFolder)? {
            return Err(power_is_off());
        }
        inner.pending_names.clear();
        let names = inner.names.clone();
        inner.stable_names = names;
        Ok(())
    }

    fn folder_within(&self, name: &str) -> io::Result<Arc<dyn LogIo>> {
        Ok(Arc::new(Below::new(self.clone(), name)))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let inner = Disk::lock(self);
        inner.alive(inner.run)?;
        Ok(inner.capacity_bytes.saturating_sub(inner.used_bytes()))
    }

    fn salt(&self) -> io::Result<u64> {
        let mut inner = Disk::lock(self);
        inner.salt = inner
            .salt
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(1);
        Ok(inner.salt)
    }
}

impl LogFile for Handle {
    fn length(&self) -> io::Result<u64> {
        let inner = self.disk.lock();
        inner.alive(self.run)?;
        let inode = inner.inodes.get(&self.inode).ok_or_else(power_is_off)?;
        Ok(inode.cached.len() as u64)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let mut outcome = inner.call(self.run, Call::Write);
        if let Err(error) = &outcome
            && error.kind() == io::ErrorKind::Other
        {
            return outcome.map(|_| ());
        }
        let room = inner.capacity_bytes.saturating_sub(inner.used_bytes());
        let inode = inner.inodes.get_mut(&self.inode).ok_or_else(power_is_off)?;
        let end = offset as usize + bytes.len();
        let growth = end.saturating_sub(inode.cached.len()) as u64;
        if growth > room {
            outcome = Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        // What the disk refuses may have been taken in part.
        let taken = match outcome {
            Ok(_) => bytes,
            Err(_) => bytes.get(..bytes.len() / 2).unwrap_or_default(),
        };
        if growth == 0 || outcome.is_ok() {
            put(&mut inode.cached, offset as usize, taken);
            inode.pending.push(Pending {
                offset: offset as usize,
                bytes: taken.to_vec(),
            });
        }
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(power_is_off()),
            Err(error) => Err(error),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = self.disk.lock();
        inner.alive(self.run)?;
        let wanted = offset..offset + buffer.len() as u64;
        let bad = inner.unreadable.iter().any(|(name, bytes)| {
            *name == self.name && bytes.start < wanted.end && wanted.start < bytes.end
        });
        if bad {
            return Err(io::Error::from_raw_os_error(5));
        }
        let inode = inner.inodes.get(&self.inode).ok_or_else(power_is_off)?;
        let there = inode.cached.get(offset as usize..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), there.get(..length)) {
            target.copy_from_slice(source);
        }
        Ok(length)
    }

    /// Two calls, so that the power can go in between. The second makes the bytes of the first
    /// durable and nothing else.
    fn write_durably_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        self.flush(|inode| inode.pending.pop().into_iter().collect())
    }

    fn sync(&self) -> io::Result<()> {
        self.flush(|inode| std::mem::take(&mut inode.pending))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let goes_on = inner.call(self.run, Call::Truncate)?;
        let inode = inner.inodes.get_mut(&self.inode).ok_or_else(power_is_off)?;
        inode.cached.truncate(length as usize);
        inode.cut_off = Some(length as usize);
        if goes_on { Ok(()) } else { Err(power_is_off()) }
    }
}

impl Handle {
    fn flush(&self, take: impl FnOnce(&mut Inode) -> Vec<Pending>) -> io::Result<()> {
        let mut inner = self.disk.lock();
        let outcome = inner.call(self.run, Call::Sync);
        if matches!(outcome, Ok(false)) {
            return Err(power_is_off());
        }
        let run_ended = inner.alive(self.run).is_err();
        let inode = inner.inodes.get_mut(&self.inode).ok_or_else(power_is_off)?;
        if run_ended {
            return outcome.map(|_| ());
        }
        let pending = take(inode);
        outcome?;
        if let Some(length) = inode.cut_off.take() {
            inode.stable.truncate(length);
        }
        for pending in pending {
            put(&mut inode.stable, pending.offset, &pending.bytes);
        }
        Ok(())
    }
}
