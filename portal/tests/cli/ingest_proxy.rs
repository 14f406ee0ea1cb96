//! A proxy that answers in the portal's place, and a key that has ended: the clients of docs/tenant-apps.md, word
//! by word, keep the batch and send it again.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread::{self, JoinHandle},
};

use crate::ingest::{code_of_the_page, python_of_the_page};

/// What is answered: the status with more headers; nothing at all for 0, and half an answer for 1.
type Answer = (u16, &'static str);

/// Answers one request with each of these; gives the bodies that came.
fn stub(answers: &'static [Answer]) -> (String, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        answers
            .iter()
            .map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                one(stream, *answer)
            })
            .collect()
    });
    (url, serving)
}

fn one(mut stream: TcpStream, (status, headers): Answer) -> Vec<u8> {
    let mut from = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut line) = (0, String::new());
    while from.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    let page = "<html>502 Bad Gateway</html>";
    match status {
        0 => Ok(()),
        1 => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{{"),
        _ => write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n{page}",
            page.len()
        ),
    }
    .unwrap();
    body
}

#[test]
fn the_python_of_the_page_sends_again_what_a_proxy_has_answered() {
    const ANSWERS: &[Answer] = &[
        (502, ""),
        (504, ""),
        (401, ""),
        (408, ""),
        (500, ""),
        (0, ""),
        (1, ""),
        (429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"),
        (503, "Retry-After: 7\r\n"),
        (200, ""),
        (422, ""),
    ];
    let (url, serving) = stub(ANSWERS);
    let folder = tempfile::tempdir().unwrap();
    let (app, spool) = (folder.path().join("app.py"), folder.path().join("spool"));
    let code = format!(
        "{}
import sys
pauses = []
time.sleep = pauses.append
app = Freehold(sys.argv[1], 'key', sys.argv[2])
app.log([{{'level': 'info', 'message': 'one'}}])
app.usage([{{'name': 'a', 'value': 1}}])
left = app.flush(120)
print(left, pauses)
",
        python_of_the_page()
    );
    fs::write(&app, code).unwrap();
    let output = Command::new("python3")
        .arg(&app)
        .arg(&url)
        .arg(&spool)
        .env("no_proxy", "*")
        .output()
        .unwrap();
    let (out, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.trim(), "0 [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60, 7.0]", "{errors}");
    // Only what the portal itself calls a defect is put aside.
    let kept: Vec<String> = fs::read_dir(&spool)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(kept.len() == 1 && kept[0].ends_with("_api_v1_usage.refused"), "{kept:?}");
    let bodies = serving.join().unwrap();
    assert!(bodies[..10].iter().all(|body| *body == bodies[0]), "not the same bytes");
}

#[test]
fn the_javascript_of_the_page_sends_again_what_a_proxy_has_answered() {
    const ANSWERS: &[Answer] =
        &[(502, ""), (504, "Retry-After: soon\r\n"), (401, ""), (0, ""), (200, ""), (422, "")];
    let (url, serving) = stub(ANSWERS);
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app.mjs");
    let code = format!(
        "{}
const one = batch([{{ level: 'info', message: 'one' }}]);
const said = [];
for (let turn = 0; turn < 5; turn++) said.push(await send(process.argv[2], 'key', one));
const last = await send(process.argv[2], 'key', one).catch((error) => error.message.slice(0, 3));
console.log(said.join(), last);
",
        code_of_the_page("js")
    );
    fs::write(&app, code).unwrap();
    let output = Command::new("node").arg(&app).arg(&url).output().unwrap();
    let (out, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.trim(), "false,false,false,false,true 422", "{errors}");
    let bodies = serving.join().unwrap();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "not the same bytes");
}
