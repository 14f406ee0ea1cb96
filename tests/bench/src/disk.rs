//! The disk's own rate of durable writes: the baseline of everything that is durable.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

/// Size of a page of the database.
const PAGE: usize = 4096;
/// Pages of the file that is written over and over, as a write-ahead log is.
const PAGES: u64 = 256;

/// One thread that writes a page and waits until it is on the disk, again and again.
#[derive(Debug)]
pub struct Disk {
    file: File,
    page: Vec<u8>,
}

impl Disk {
    /// With a file in this folder.
    pub fn new(folder: &Path) -> Self {
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(folder.join("disk-baseline"))
            .expect("a file for the baseline");
        let page = vec![0xA5; PAGE];
        for n in 0..PAGES {
            file.write_all_at(&page, n * PAGE as u64).expect("the baseline's file can be written");
        }
        file.sync_all().expect("the baseline's file can be synced");
        Self { file, page }
    }

    /// Times of `count` durable writes, in milliseconds.
    pub fn times(&self, count: usize) -> Vec<f64> {
        (0..count)
            .map(|n| {
                let began = Instant::now();
                self.write(n as u64);
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect()
    }

    /// Durable writes a second, measured for a while.
    pub fn rate(&self, time: Duration) -> f64 {
        let began = Instant::now();
        let mut count = 0_u64;
        while began.elapsed() < time {
            self.write(count);
            count += 1;
        }
        count as f64 / began.elapsed().as_secs_f64()
    }

    fn write(&self, n: u64) {
        self.file
            .write_all_at(&self.page, n % PAGES * PAGE as u64)
            .and_then(|()| self.file.sync_data())
            .expect("the baseline's file can be written");
    }
}
