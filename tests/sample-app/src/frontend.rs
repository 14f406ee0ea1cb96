//! The page.

use crate::config::Config;
use crate::http::{self, Response};

/// Serves until it is told to end.
pub(crate) fn serve(config: Config) -> Result<(), String> {
    config.fail_at_start()?;
    let page = page(&config);
    http::serve(config.port.unwrap_or(5173), move |request| match request.method.as_str() {
        "GET" | "HEAD" => Response::html(200, page.clone()).with("X-Frontend", "sample"),
        _ => Response::html(405, "only GET here\n".to_owned()),
    })
}

fn page(config: &Config) -> String {
    let (name, slug) = (escape(&config.name), escape(&config.slug));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;margin:12vh auto;max-width:34rem;\
         padding:0 1rem}}h1{{color:{color}}}</style>\n</head>\n<body>\n<h1>{name}</h1>\n\
         <p>This is the tenant <b id=\"tenant\">{slug}</b>, release {version}.</p>\n\
         <p>Backend: <span id=\"health\">asking…</span></p>\n\
         <script>fetch('/api/health').then(r=>r.json()).then(h=>document.getElementById('health')\
         .textContent=h.status+', database '+h.database).catch(e=>document\
         .getElementById('health').textContent=e)</script>\n</body>\n</html>\n",
        color = config.color,
        version = config.version,
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_carry_markup() {
        assert_eq!(escape("<b>A & \"B\""), "&lt;b&gt;A &amp; &quot;B&quot;");
    }
}
