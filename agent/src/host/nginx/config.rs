//! Reading nginx's own notation, as far as we need it: words, `;`, `{`, `}`.

use std::collections::BTreeSet;

/// A name that a file gives to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedServer {
    /// The file, as nginx names it.
    pub file: String,
    /// The name.
    pub name: String,
    /// The ports that the server listens on; none when that stands in another file.
    pub ports: BTreeSet<u16>,
}

/// Cuts a configuration into words and the marks `;`, `{` and `}`; comments are left out.
#[must_use]
pub fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    let end = |word: &mut String, tokens: &mut Vec<String>| {
        if !word.is_empty() {
            tokens.push(std::mem::take(word));
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' if word.is_empty() => {
                let mut quoted = String::new();
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => quoted.extend(chars.next()),
                        inner if inner == c => break,
                        inner => quoted.push(inner),
                    }
                }
                tokens.push(quoted);
            }
            '\\' => {
                word.push(c);
                word.extend(chars.next());
            }
            // `${name}` is part of a word.
            '{' if word.ends_with('$') => {
                word.push(c);
                while let Some(inner) = chars.next_if(|c| *c != '}') {
                    word.push(inner);
                }
                word.extend(chars.next());
            }
            ';' | '{' | '}' => {
                end(&mut word, &mut tokens);
                tokens.push(c.to_string());
            }
            c if c.is_whitespace() => end(&mut word, &mut tokens),
            c => word.push(c),
        }
    }
    end(&mut word, &mut tokens);
    tokens
}

/// Every `server_name` in what `nginx -T` prints, with its file and ports, in lower case.
#[must_use]
pub fn parse_dump(dump: &str) -> Vec<NamedServer> {
    const HEADER: &str = "# configuration file ";
    let mut found = Vec::new();
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in dump.lines() {
        if let Some(file) = line.strip_prefix(HEADER).and_then(|rest| rest.strip_suffix(':')) {
            sections.push((file, String::new()));
        } else if let Some((_, text)) = sections.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    for (file, text) in sections {
        for server in servers(&text) {
            let ports = server.ports();
            found.extend(server.names.into_iter().map(|name| NamedServer {
                file: file.to_owned(),
                name,
                ports: ports.clone(),
            }));
        }
    }
    found
}

/// What a `server` block says of its names and ports; or a whole file, of what stands outside.
#[derive(Default)]
struct Server {
    /// How deep its own directives stand.
    depth: usize,
    names: Vec<String>,
    listens: BTreeSet<u16>,
    /// More may stand in another file.
    is_open: bool,
}

impl Server {
    fn ports(&self) -> BTreeSet<u16> {
        // Without a `listen`, a server listens on port 80.
        if self.listens.is_empty() && !self.is_open {
            return BTreeSet::from([80]);
        }
        self.listens.clone()
    }

    fn take(&mut self, words: &[String]) {
        match words {
            [word, names @ ..] if word == "server_name" => {
                self.names.extend(names.iter().map(|name| name.to_ascii_lowercase()));
            }
            [word, address, ..] if word == "listen" => self.listens.extend(port_of(address)),
            [word, ..] if word == "include" => self.is_open = true,
            _ => {}
        }
    }
}

/// The servers of a file. The first is the file itself: an included piece of a server has no block.
fn servers(text: &str) -> Vec<Server> {
    let mut done = Vec::new();
    let mut open = vec![Server { is_open: true, ..Server::default() }];
    let (mut depth, mut words) = (0_usize, Vec::new());
    for token in tokens(text) {
        match token.as_str() {
            ";" => {
                if let Some(server) = open.last_mut().filter(|server| server.depth == depth) {
                    server.take(&words);
                }
                words.clear();
            }
            "{" => {
                depth += 1;
                if words == ["server"] {
                    open.push(Server { depth, ..Server::default() });
                }
                words.clear();
            }
            "}" => {
                if open.len() > 1 && open.last().is_some_and(|server| server.depth == depth) {
                    done.extend(open.pop());
                }
                depth = depth.saturating_sub(1);
                words.clear();
            }
            _ => words.push(token),
        }
    }
    done.extend(open);
    done
}

/// The port of a `listen` address; none for a Unix socket.
fn port_of(address: &str) -> Option<u16> {
    if address.starts_with("unix:") {
        return None;
    }
    if let Ok(port) = address.parse() {
        return Some(port);
    }
    let after = address.rsplit_once(']').map_or(address, |(_, after)| after);
    match after.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(80),
    }
}
