//! What is to be sent to the portal, each batch in a file until the portal has it: sent again after an
//! outage, word for word and under the same id, so that nothing is lost or counted twice.

use crate::portal::Portal;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PAUSE: Duration = Duration::from_millis(500);

/// A folder of batches.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    count: AtomicU64,
}

impl Outbox {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), count: AtomicU64::new(0) }
    }

    /// Writes a batch down for an address: a JSON object that gets an id.
    pub(crate) fn keep(&self, path: &str, body: &[u8]) -> Result<(), String> {
        let mut batch: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let fields = batch.as_object_mut().ok_or("send an object with logs or metrics")?;
        fields.insert("batchId".to_owned(), id()?.into());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let name = self.folder.join(format!("{now:020}-{count:06}.batch"));
        let part = name.with_extension("part");
        let text = json!({ "path": path, "body": batch.to_string() }).to_string();
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, &name))
            .map_err(|error| format!("{}: {error}", name.display()))
    }

    /// How many batches the portal does not have yet.
    pub(crate) fn waiting(&self) -> usize {
        self.batches().len()
    }

    fn batches(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "batch"))
            .collect();
        found.sort();
        found
    }

    /// Sends what waits, the oldest first, for as long as the app runs.
    pub(crate) fn keep_sending(&self, portal: Arc<Portal>) {
        std::thread::spawn(move || {
            loop {
                for batch in portal.outbox.batches() {
                    if let Err(reason) = send(&portal, &batch) {
                        eprintln!("the portal has not taken a batch: {reason}");
                        break;
                    }
                }
                std::thread::sleep(PAUSE);
            }
        });
    }
}

/// Sends one batch. The error says why it must be sent again.
fn send(portal: &Portal, file: &Path) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    let kept: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let (path, body) = (kept["path"].as_str(), kept["body"].as_str());
    let (status, answer) =
        portal.line.post(path.unwrap_or_default(), body.unwrap_or_default().as_bytes())?;
    match status {
        200 => std::fs::remove_file(file).map_err(|error| error.to_string()),
        429 | 503 => Err(status.to_string()),
        // A defect of the app or its key: for a person to look at.
        _ => {
            eprintln!("the portal refuses a batch: {status} {answer}");
            std::fs::rename(file, file.with_extension("refused")).map_err(|error| error.to_string())
        }
    }
}

/// 128 random bits.
fn id() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
