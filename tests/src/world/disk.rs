//! A small disk of a program's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::run;

/// A disk in memory, for tests that fill one.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(super) fn mount(path: &Path, kib: u32) -> Self {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0700"), "tmpfs"]).arg(path);
        run(command, None).ok();
        Self { path: path.to_owned() }
    }

    /// Leaves `kib` KiB free, or as near above it as possible.
    pub fn fill(&self, kib: u64) {
        self.free();
        let stat = rustix::fs::statvfs(&self.path).expect("the disk can be asked");
        let free = stat.f_bavail * stat.f_frsize;
        let size = free.saturating_sub(kib * 1024);
        let size = usize::try_from(size).expect("a test's disk fits into memory");
        match std::fs::write(self.path.join("ballast"), vec![0_u8; size]) {
            // Others write at the same time: then it is full all the same.
            Err(error) if error.kind() != std::io::ErrorKind::StorageFull => {
                panic!("ballast: {error}")
            }
            _ => {}
        }
    }

    /// Takes away what `fill` wrote.
    pub fn free(&self) {
        match std::fs::remove_file(self.path.join("ballast")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                panic!("ballast: {error}")
            }
            _ => {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        // Lazily: a program of a failed test may still be in it.
        command.arg("--lazy").arg(&self.path);
        let outcome = run(command, None);
        if !outcome.success() {
            eprintln!("{} stays mounted: {outcome}", self.path.display());
        }
    }
}
