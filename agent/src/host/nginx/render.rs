//! A site as nginx reads it. Nothing but newtypes, numbers and our own words gets in.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{CertificateFiles, Route, Settings, Site, Stage};

/// The first line of every file that we write into nginx's folder.
pub const MARK: &str = "# managed by freehold";

/// Adds lines; writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {
        writeln!($out, $($text)*).expect("writing to a String does not fail")
    };
}

/// Renders the site file of a tenant.
#[must_use]
pub fn render_site(settings: &Settings, site: &Site) -> String {
    let mut out = format!(
        "{MARK}: tenant {} ({})\n# Changes are overwritten by the next job.\n\n",
        site.slug, site.tenant
    );
    servers(&mut out, settings, site);
    out
}

fn servers(out: &mut String, settings: &Settings, site: &Site) {
    match &site.stage {
        Stage::Http => plain_server(out, settings, site, Plain::Wait),
        Stage::Moving(former) => {
            plain_server(out, settings, site, Plain::Wait);
            line!(out, "");
            servers(out, settings, former);
        }
        Stage::Https(files) => {
            plain_server(out, settings, site, Plain::Redirect);
            tls_server(out, settings, site, files, true);
        }
        Stage::Suspended(files) => {
            plain_server(out, settings, site, Plain::Redirect);
            tls_server(out, settings, site, files, false);
        }
    }
}

/// What port 80 does besides answering the certificate authority.
#[derive(Clone, Copy)]
enum Plain {
    Wait,
    Redirect,
}

fn listen(out: &mut String, settings: &Settings, port: u16, options: &str) {
    for address in &settings.listen {
        match address {
            IpAddr::V4(address) => line!(out, "    listen {address}:{port}{options};"),
            IpAddr::V6(address) => line!(out, "    listen [{address}]:{port}{options};"),
        }
    }
}

/// The head of every server: its name, and a refusal of every other name. nginx gives requests for
/// unknown names to the first server of a port, and that must not be some tenant's site.
fn head(out: &mut String, site: &Site) {
    line!(out, "    server_name {};", site.domain);
    line!(out, "    if ($host != {}) {{", site.domain);
    line!(out, "        return 421;");
    line!(out, "    }}");
    line!(out, "    server_tokens off;");
}

/// Refuses requests on a connection that was made for another name: nginx chooses the certificate by
/// the name of the handshake and the site by that of the request, and would serve this site under
/// another tenant's certificate. A client that named nobody has seen whose certificate it got.
fn made_for_this_name(out: &mut String, site: &Site) {
    let name = site.domain.to_string().replace('.', "\\.");
    line!(out, "    if ($ssl_server_name !~* \"^({name})?$\") {{");
    line!(out, "        return 421;");
    line!(out, "    }}");
}

fn plain_server(out: &mut String, settings: &Settings, site: &Site, plain: Plain) {
    line!(out, "server {{");
    listen(out, settings, settings.http_port, "");
    head(out, site);
    line!(out, "    location ^~ /.well-known/acme-challenge/ {{");
    line!(out, "        root {};", settings.webroot);
    line!(out, "        default_type text/plain;");
    line!(out, "        try_files $uri =404;");
    line!(out, "    }}");
    line!(out, "    location / {{");
    match plain {
        Plain::Wait => {
            line!(out, "        default_type text/plain;");
            line!(out, "        add_header Retry-After 60 always;");
            line!(out, "        return 503 \"This site is being set up. Please try again soon.\";");
        }
        Plain::Redirect if settings.https_port == 443 => {
            line!(out, "        return 301 https://{}$request_uri;", site.domain);
        }
        Plain::Redirect => {
            let port = settings.https_port;
            line!(out, "        return 301 https://{}:{port}$request_uri;", site.domain);
        }
    }
    line!(out, "    }}");
    line!(out, "}}");
}

fn tls_server(
    out: &mut String,
    settings: &Settings,
    site: &Site,
    files: &CertificateFiles,
    serves: bool,
) {
    line!(out, "\nserver {{");
    // Since 1.25.1 nginx prefers a directive of its own for HTTP/2 and warns about this form; before,
    // it refuses the directive. This form is accepted by all.
    listen(out, settings, settings.https_port, " ssl http2");
    head(out, site);
    made_for_this_name(out, site);
    line!(out, "    ssl_certificate {};", files.chain);
    line!(out, "    ssl_certificate_key {};", files.key);
    line!(out, "    ssl_protocols TLSv1.2 TLSv1.3;");
    line!(out, "    add_header Strict-Transport-Security \"max-age=31536000\" always;");
    line!(out, "    add_header X-Content-Type-Options nosniff always;");
    if serves {
        line!(out, "    client_max_body_size {}m;", site.body_limit_mib);
        if site.routes.iter().any(|route| route.websocket) {
            line!(out, "    set $freehold_connection \"\";");
            line!(out, "    if ($http_upgrade) {{");
            line!(out, "        set $freehold_connection upgrade;");
            line!(out, "    }}");
        }
        for route in &site.routes {
            locations(out, site, route);
        }
    } else {
        line!(out, "    location / {{");
        line!(out, "        default_type text/html;");
        line!(
            out,
            "        return 503 \"<!doctype html><html lang=en><meta charset=utf-8><title>Suspended</title><h1>This site is suspended</h1><p>Please contact its operator.</p></html>\";"
        );
        line!(out, "    }}");
    }
    line!(out, "}}");
}

/// A path and everything below it, but not what merely begins with the same letters.
fn locations(out: &mut String, site: &Site, route: &Route) {
    let path = route.path.as_str();
    let below = path.trim_end_matches('/');
    if below.is_empty() {
        location(out, site, route, "/");
        return;
    }
    location(out, site, route, &format!("= {below}"));
    location(out, site, route, &format!("^~ {below}/"));
}

fn location(out: &mut String, site: &Site, route: &Route, place: &str) {
    line!(out, "    location {place} {{");
    line!(out, "        proxy_pass http://127.0.0.1:{};", route.port);
    line!(out, "        proxy_http_version 1.1;");
    line!(out, "        proxy_set_header Host $host;");
    // All of these replace what the client sent: the app may believe them.
    line!(out, "        proxy_set_header X-Organization-Slug {};", site.slug);
    line!(out, "        proxy_set_header X-Real-IP $remote_addr;");
    line!(out, "        proxy_set_header X-Forwarded-For $remote_addr;");
    line!(out, "        proxy_set_header X-Forwarded-Proto $scheme;");
    line!(out, "        proxy_set_header X-Forwarded-Host $host;");
    line!(out, "        proxy_set_header X-Forwarded-Port $server_port;");
    line!(out, "        proxy_set_header Forwarded \"\";");
    if route.websocket {
        line!(out, "        proxy_set_header Upgrade $http_upgrade;");
        line!(out, "        proxy_set_header Connection $freehold_connection;");
    } else {
        line!(out, "        proxy_set_header Upgrade \"\";");
        line!(out, "        proxy_set_header Connection \"\";");
    }
    line!(out, "        proxy_connect_timeout 5s;");
    line!(out, "        proxy_send_timeout {}s;", site.answer_timeout_secs);
    if route.websocket {
        // Between two messages of a WebSocket hours may pass.
        line!(out, "        proxy_read_timeout 3600s;");
    } else {
        line!(out, "        proxy_read_timeout {}s;", site.answer_timeout_secs);
    }
    line!(out, "    }}");
}
