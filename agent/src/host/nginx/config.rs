//! Reading nginx's own notation, as far as we need it: words, `;`, `{`, `}`.

/// A name that a file gives to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedServer {
    /// The file, as nginx names it.
    pub file: String,
    /// The name.
    pub name: String,
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

/// Every `server_name` in what `nginx -T` prints, with its file, in lower case.
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
        let tokens = tokens(&text);
        let mut at_start = true;
        let mut naming = false;
        for token in tokens {
            match token.as_str() {
                ";" | "{" | "}" => (at_start, naming) = (true, false),
                word => {
                    if naming {
                        found.push(NamedServer {
                            file: file.to_owned(),
                            name: word.to_ascii_lowercase(),
                        });
                    }
                    naming |= at_start && word == "server_name";
                    at_start = false;
                }
            }
        }
    }
    found
}
