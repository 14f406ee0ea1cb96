//! What is to be sent to the portal, each batch in a file until the portal has it: sent again after an
//! outage, word for word and under the same id, so that nothing is lost or counted twice.

use crate::portal::{Line, Portal};
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
                    if let Err(reason) = send(&portal.line, &batch) {
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
fn send(line: &Line, file: &Path) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    let kept: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let (path, body) = (kept["path"].as_str(), kept["body"].as_str());
    let (status, answer) =
        line.post(path.unwrap_or_default(), body.unwrap_or_default().as_bytes())?;
    match status {
        200 => std::fs::remove_file(file).map_err(|error| error.to_string()),
        // The portal is away behind its proxy, or the key has ended and the next deploy brings another.
        401 | 408 | 429 | 500.. => Err(status.to_string()),
        // A defect of the app: for a person to look at.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    /// Answers one request with each of these, and gives the bodies that came.
    fn portal(answers: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let mut bodies = Vec::new();
            for status in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut from = BufReader::new(stream.try_clone().unwrap());
                let (mut length, mut line) = (0, String::new());
                while from.read_line(&mut line).unwrap() > 2 {
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                from.read_exact(&mut body).unwrap();
                bodies.push(String::from_utf8(body).unwrap());
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
                )
                .unwrap();
            }
            bodies
        });
        (url, serving)
    }

    #[test]
    fn a_batch_waits_until_the_portal_itself_has_taken_or_refused_it() {
        const LATER: [u16; 8] = [502, 504, 401, 408, 429, 500, 503, 599];
        const ANSWERS: [u16; 10] = [502, 504, 401, 408, 429, 500, 503, 599, 200, 422];
        let (url, serving) = portal(&ANSWERS);
        let line = Line::to(&url);
        let folder = std::env::temp_dir().join(format!("freehold-outbox-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let outbox = Outbox::new(&folder);
        outbox.keep("/api/v1/tenant-logs", br#"{"logs":[1]}"#).unwrap();
        outbox.keep("/api/v1/tenant-logs", br#"{"logs":[2]}"#).unwrap();
        for status in LATER {
            assert_eq!(send(&line, &outbox.batches()[0]), Err(status.to_string()));
            assert_eq!(outbox.waiting(), 2, "{status}");
        }
        send(&line, &outbox.batches()[0]).unwrap();
        send(&line, &outbox.batches()[0]).unwrap();
        assert_eq!(outbox.waiting(), 0);
        let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(kept[0].extension().unwrap(), "refused");
        // Word for word the same each time.
        let bodies = serving.join().unwrap();
        assert!(bodies[0].contains("[1]") && bodies[..9].iter().all(|body| *body == bodies[0]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
