//! The real runner against real processes.

use std::cell::RefCell;
use std::fs;
use std::time::{Duration, Instant};

use super::*;

struct Bench {
    system: System,
    cancel: CancelToken,
    activity: Activity,
    lines: RefCell<Vec<String>>,
    secrets: Vec<Secret>,
}

impl Bench {
    fn new() -> Self {
        // `bash` plays a program of the table, so that a test can say what it does.
        let programs = Programs::default().with(Program::Docker, "/bin/bash".into()).unwrap();
        Self {
            system: System::new(programs, "/nonexistent".into(), "/etc/freehold/docker".into()),
            cancel: CancelToken::new(),
            activity: Activity::new(),
            lines: RefCell::default(),
            secrets: Vec::new(),
        }
    }

    fn run(&self, script: &str, deadline: Duration) -> Result<Output, CommandError> {
        self.run_argv(&bash(script), Limits { deadline, output_bytes: 1000, lines: Lines::Told })
    }

    fn run_argv(&self, argv: &Argv, limits: Limits) -> Result<Output, CommandError> {
        let on_line = |_: Stream, line: &str| self.lines.borrow_mut().push(line.to_owned());
        let watch = Watch {
            cancel: &self.cancel,
            activity: &self.activity,
            on_line: &on_line,
            secrets: &self.secrets,
        };
        Commands::new(&self.system, watch).run(argv, limits)
    }
}

fn bash(script: &str) -> Argv {
    Argv::new(Program::Docker).passed_on(["-c", script])
}

const LONG: Duration = Duration::from_secs(20);

/// Processes whose whole command line is this.
fn running(command: &str) -> usize {
    let wanted = command.replace(' ', "\0") + "\0";
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())
        })
        .count()
}

#[test]
fn output_status_and_lines() {
    let bench = Bench::new();
    let output = bench.run("echo one; echo two >&2", LONG).unwrap();
    assert_eq!(output.stdout.whole(), Some("one\n"));
    assert_eq!(output.stderr.whole(), Some("two\n"));
    let mut lines = bench.lines.borrow().clone();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);

    let error = bench.run("echo why >&2; exit 3", LONG).unwrap_err();
    assert_eq!(error.code(), Some(3));
    assert!(error.detail().contains("why"), "{}", error.detail());
    let error = bench.run("kill -KILL $$", LONG).unwrap_err();
    assert!(error.to_string().contains("signal 9"), "{error}");
}

#[test]
fn the_deadline_ends_the_whole_group() {
    let bench = Bench::new();
    let begun = Instant::now();
    let error = bench
        .run("trap '' TERM; sleep 3131.7 & sleep 3131.7", Duration::from_millis(200))
        .unwrap_err();
    assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(running("sleep 3131.7"), 0);
}

#[test]
fn a_process_that_left_the_group_is_found_by_its_marker() {
    let bench = Bench::new();
    bench
        .run("setsid --fork sleep 3132.7 >/dev/null 2>&1; setsid --fork sleep 3132.8", LONG)
        .unwrap();
    assert_eq!(running("sleep 3132.7") + running("sleep 3132.8"), 0);
}

#[test]
fn a_background_process_that_holds_the_pipe_does_not_hang_us() {
    let bench = Bench::new();
    let begun = Instant::now();
    let output = bench.run("sleep 3133.7 & echo done", LONG).unwrap();
    assert_eq!(output.stdout.whole(), Some("done\n"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(running("sleep 3133.7"), 0);
}

#[test]
fn cancelling_is_felt_within_a_second() {
    let bench = Bench::new();
    let token = bench.cancel.clone();
    let begun = Instant::now();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        token.cancel();
    });
    let error =
        bench.run("trap '' TERM; echo begun; sleep 3134.7; sleep 3134.7", LONG).unwrap_err();
    canceller.join().unwrap();
    assert!(matches!(error, CommandError::Cancelled { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1200), "{:?}", begun.elapsed());
    assert_eq!(running("sleep 3134.7"), 0);
    assert_eq!(error.output().unwrap().stdout.whole(), Some("begun\n"));
    // A token stays cancelled: nothing starts any more.
    let error = bench.run("echo never", LONG).unwrap_err();
    assert!(matches!(error, CommandError::Cancelled { .. }), "{error}");
}

#[test]
fn output_beyond_the_limit_is_counted_not_kept() {
    let bench = Bench::new();
    let output = bench.run("head -c 5000000 /dev/zero | tr '\\0' x; echo end", LONG).unwrap();
    assert_eq!(output.stdout.dropped, 4_999_004);
    assert!(output.stdout.tail.ends_with("xend\n"));
    assert_eq!(output.stdout.whole(), None);
}

#[test]
fn the_environment_is_clean_and_the_folder_fixed() {
    let bench = Bench::new();
    let output = bench.run("env | cut -d= -f1 | sort | tr '\\n' ' '; pwd", LONG).unwrap();
    // `_`, PWD and SHLVL are bash's own.
    assert_eq!(output.stdout.head, "DOCKER_CONFIG FREEHOLD_RUN HOME LC_ALL PATH PWD SHLVL _ /\n");
}

#[test]
fn input_comes_from_bytes_a_secret_or_a_file() {
    let bench = Bench::new();
    let limits = Limits::within(LONG);
    let read = |stdin| bench.run_argv(&bash("cat").stdin(stdin), limits).unwrap().stdout.head;
    assert_eq!(read(Stdin::Null), "");
    assert_eq!(read(Stdin::Bytes(b"bytes".to_vec())), "bytes");
    assert_eq!(read(Stdin::Secret(Secret::new("s3cret".into()))), "s3cret");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    fs::write(&file, "file").unwrap();
    assert_eq!(read(Stdin::File(file.clone())), "file");
    // More than a pipe holds, to a program that does not read it.
    bench.run_argv(&bash("exit 0").stdin(Stdin::Bytes(vec![b'x'; 1 << 20])), limits).unwrap();
    // Output into a file, which must be new.
    let to = folder.path().join("out");
    let argv = bash("echo kept").stdout(Destination::NewFile(to.clone()));
    bench.run_argv(&argv, limits).unwrap();
    assert_eq!(fs::read_to_string(&to).unwrap(), "kept\n");
    assert!(matches!(bench.run_argv(&argv, limits), Err(CommandError::Io { .. })));
}

#[test]
fn secrets_do_not_come_back() {
    let mut bench = Bench::new();
    bench.secrets = vec![Secret::new("hunter2hunter2".into())];
    let argv = bash("read -r x; echo \"got $x\"; echo \"$x\" >&2; exit 1")
        .stdin(Stdin::Bytes(b"hunter2hunter2\n".to_vec()));
    let error = bench.run_argv(&argv, Limits::within(LONG)).unwrap_err();
    let everything = format!("{error:?} {} {:?}", error.detail(), bench.lines.borrow());
    assert!(everything.contains("got ***") && !everything.contains("hunter2"), "{everything}");
}

#[test]
fn a_missing_program_names_its_place() {
    let programs = Programs::default().with(Program::Docker, "/nonexistent/docker".into()).unwrap();
    let mut bench = Bench::new();
    bench.system = System::new(programs, "/".into(), "/".into());
    let error = bench.run("x", LONG).unwrap_err();
    assert!(error.never_started());
    let failure = error.failure(freehold_protocol::failure::FailureClass::Upstream, "x", "y");
    assert_eq!(failure.class, freehold_protocol::failure::FailureClass::Host);
    assert!(failure.advice.contains("programs.docker"), "{failure:?}");
    assert!(Programs::default().with(Program::Docker, "docker".into()).is_err());
}
