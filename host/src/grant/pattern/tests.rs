use super::*;

/// One line a pattern: what it covers, and what it does not.
fn check<P>(
    parse: impl Fn(&str) -> Result<P, PatternError>,
    covers: impl Fn(&P, &str) -> bool,
    table: &[(&str, &[&str], &[&str])],
) {
    for (text, yes, no) in table {
        let pattern = parse(text).expect(text);
        for request in *yes {
            assert!(
                covers(&pattern, request),
                "{text:?} should cover {request:?}"
            );
        }
        for request in *no {
            assert!(
                !covers(&pattern, request),
                "{text:?} should not cover {request:?}"
            );
        }
    }
}

fn refuses<P>(parse: impl Fn(&str) -> Result<P, PatternError>, texts: &[&str]) {
    for text in texts {
        let error = parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text:?} should be refused"));
        assert!(!error.help.is_empty());
    }
}

#[test]
fn a_host_of_the_manifest_is_covered_with_its_user_and_no_other() {
    let named = HostPattern::exact("root@Web-1:2222");
    assert!(named.covers("root@web-1:2222"));
    for other in [
        "web-1:2222",
        "Root@web-1:2222",
        "ada@web-1:2222",
        "root@web-1",
        "",
    ] {
        assert!(!named.covers(other), "{other}");
    }
    assert!(!HostPattern::exact("web-1").covers("root@web-1"));
    assert!(!HostPattern::parse("web-*").unwrap().covers("root@web-1"));
    assert!(!HostPattern::parse("**").unwrap().covers("root@web-1"));
}

#[test]
fn names_are_matched_exactly_or_by_prefix() {
    check(
        NamePattern::parse,
        NamePattern::covers,
        &[
            (
                "db",
                &["db"],
                &["", "db2", "d", "DB", "db\n", "db ", "*", "db*", "dь"],
            ),
            (
                "app-web-*",
                &["app-web-1", "app-web-evil", "app-web-a_b.c-d"],
                &[
                    "app-web-",
                    "app-web",
                    "app-webevil",
                    "xapp-web-1",
                    "app-web-*",
                    "app-web-é",
                    "app-web-a/b",
                    "app-web-a b",
                    "app-web-\u{0}",
                    "app-web-a,b",
                ],
            ),
            ("*", &["a", "0a"], &["", "*", "-a", ".", "/", "é"]),
        ],
    );
    refuses(
        NamePattern::parse,
        &[
            "",
            "a*b",
            "*a",
            "**",
            "a**",
            "a b",
            "é",
            "-a",
            "a/b",
            "a\n",
            "a-\u{202e}",
        ],
    );
}

#[test]
fn hosts_do_not_grow_beyond_a_label() {
    check(
        HostPattern::parse,
        HostPattern::covers,
        &[
            (
                "Web-1.example.com",
                &["web-1.example.com", "WEB-1.EXAMPLE.COM"],
                &["web-1.example.com.evil.com", "", "web-1xexample.com"],
            ),
            (
                "web-*",
                &["web-1", "WEB-x"],
                &[
                    "web-",
                    "web-1.evil.com",
                    "web-1:22",
                    "root@web-1",
                    "web-1 -oProxyCommand=x",
                    "web-*",
                    "web-é",
                ],
            ),
            (
                "10.0.0.*",
                &["10.0.0.7", "10.0.0.77"],
                &["10.0.0.7.evil.com", "10.0.0.", "10.0.1.7"],
            ),
            (
                "**",
                &["a", "a.b.c", "::1"],
                &["", "a b", "a\n", "a/b", "-é"],
            ),
            ("fe80::1", &["FE80::1"], &["fe80::12"]),
            ("local", &["local"], &["local.evil.com", "localhost"]),
        ],
    );
    refuses(
        HostPattern::parse,
        &[
            "",
            "*.example.com",
            "web-*.example.com",
            "a b",
            "user@host",
            "web-**",
            "wéb",
            "a/b",
        ],
    );
}

#[test]
fn paths_are_normalised_and_never_leave() {
    check(
        PathPattern::parse,
        PathPattern::covers,
        &[
            (
                "/srv/web/**",
                &[
                    "/srv/web",
                    "/srv/web/",
                    "/srv/web/a/b",
                    "//srv/./web//a",
                    "/srv/web/a..b",
                    "/srv/web/...",
                ],
                &[
                    "/srv/webx",
                    "/srv",
                    "/",
                    "srv/web/a",
                    "/srv/web/../etc",
                    "/srv/web/a/../b",
                    "/srv/web/..",
                    "",
                    "/srv/web/a\n",
                    "/srv/web/\u{0}",
                    "/SRV/web",
                ],
            ),
            (
                "/srv/web/*",
                &["/srv/web/a"],
                &["/srv/web", "/srv/web/a/b", "/srv/web/..", "/srv/web/."],
            ),
            (
                ".kamal/**",
                &[".kamal", "./.kamal/x", ".kamal/apps/app"],
                &[
                    "/.kamal/x",
                    ".kamalx",
                    "~/.kamal/x",
                    "x/../.kamal/y",
                    ".kamal/../x",
                    "../.kamal",
                    ".ssh/authorized_keys",
                    "$HOME/.kamal",
                ],
            ),
            (
                ".kamal/lock-app*",
                &[".kamal/lock-app-x"],
                &[
                    ".kamal/lock-app",
                    ".kamal/lock-app/x",
                    ".kamal/lock-app-x/y",
                ],
            ),
            (
                "/etc/hosts",
                &["/etc/hosts", "/etc//hosts"],
                &["/etc/hosts/x", "/etc", "etc/hosts", "/etc/hosts\u{2215}x"],
            ),
            ("/**", &["/", "/etc"], &["etc", "/.."]),
            ("**", &["a", "."], &["/a", "..", ""]),
        ],
    );
    refuses(
        PathPattern::parse,
        &[
            "", "..", "/a/../b", "a/..", "~/x", "/a*/b", "/a/**/b", "/a/*/b", "/a**", "/a*/**",
            "/a b", "/a\n",
        ],
    );
}

#[test]
fn mounts_are_volumes_or_paths() {
    check(
        MountPattern::parse,
        MountPattern::covers,
        &[
            (
                "kamal-proxy-config",
                &["kamal-proxy-config"],
                &[
                    "./kamal-proxy-config",
                    "/kamal-proxy-config",
                    "kamal-proxy-config2",
                    "",
                ],
            ),
            (
                ".kamal/**",
                &[".kamal/proxy/apps-config"],
                &["kamal", ".kamal/../..", "/.kamal"],
            ),
            ("data-*", &["data-1"], &["data-1/x", "/data-1"]),
        ],
    );
    refuses(MountPattern::parse, &["", "*x", "a/../b", "a b"]);
    for (written, yes, no) in [
        ("~/data", "./data", "data"),
        ("$HOME/data", "./data", "$HOME/data"),
        ("${PWD}//etc", "./etc", "/etc"),
        ("$PWD", ".", "/"),
        ("/data", "/data", "/data/x"),
        ("store", "store", "./store"),
        ("/a*", "/a*", "/ab"),
    ] {
        let pattern = MountPattern::exact(written).expect(written);
        assert!(pattern.covers(yes) && !pattern.covers(no), "{written}");
    }
    for written in ["../x", "~root/x", "/a/../b", "$PWD/../x"] {
        assert_eq!(MountPattern::exact(written), None, "{written}");
    }
}

#[test]
fn commands_are_matched_word_by_word() {
    let covers = |pattern: &ArgvPattern, line: &str| {
        let words: Vec<&str> = line.split('|').collect();
        pattern.covers(&words)
    };
    check(
        ArgvPattern::parse,
        covers,
        &[
            (
                "systemctl restart web",
                &["systemctl|restart|web"],
                &[
                    "systemctl|restart",
                    "systemctl|restart|web|db",
                    "systemctl restart web",
                    "systemctl|restart|database",
                    "systemctl restart|web",
                    "",
                    "systemctl|restart|web ",
                ],
            ),
            (
                "docker ps *",
                &["docker|ps|-a", "docker|ps|"],
                &["docker|ps", "docker|ps|-a|-q", "docker|ps|a/../b"],
            ),
            (
                "kamal-proxy **",
                &["kamal-proxy", "kamal-proxy|list", "kamal-proxy|a|b"],
                &[
                    "kamal-proxyx",
                    "sh|-c|kamal-proxy",
                    "/bin/kamal-proxy",
                    "kamal-proxy list",
                ],
            ),
            (
                "rm -r .kamal/apps/*",
                &["rm|-r|.kamal/apps/x"],
                &[
                    "rm|-r|.kamal/apps/../../x",
                    "rm|-r|.kamal/apps/..",
                    "rm|-r|.kamal",
                ],
            ),
        ],
    );
    refuses(
        ArgvPattern::parse,
        &[
            "",
            "  ",
            "*",
            "**",
            "a b*c",
            "a ** b",
            "sh -c 'x'",
            "a | b",
            "a; b",
            "a $(b)",
            "a*",
        ],
    );
    let pattern = ArgvPattern::parse_words(&["sh", "-c", "a | b"]).expect("words");
    assert!(
        pattern.covers(&["sh", "-c", "a | b"]) && !pattern.covers(&["sh", "-c", "a", "|", "b"])
    );
}

#[test]
fn images_are_matched_by_repository_and_version() {
    let digest = format!("@sha256:{}", "a".repeat(64));
    let by_digest = format!("ghcr.io/acme/app{digest}");
    let tag_and_digest = format!("ghcr.io/acme/app:v1{digest}");
    check(
        ImagePattern::parse,
        ImagePattern::covers,
        &[
            (
                "ghcr.io/acme/app",
                &[
                    "ghcr.io/acme/app",
                    "GHCR.io/acme/app:v1",
                    &by_digest,
                    &tag_and_digest,
                ],
                &[
                    "ghcr.io/acme/app2",
                    "ghcr.io/acme/app/x",
                    "ghcr.io/acme",
                    "acme/app",
                    "ghcr.io.evil.com/acme/app",
                    "evil.com/ghcr.io/acme/app",
                    "ghcr.io:443/acme/app",
                    "",
                    "ghcr.io/acme/app:",
                    "ghcr.io/acme/app@sha256:1",
                    "ghcr.io/acme/App",
                    "ghcr.io/acme/app:a b",
                    "ghcr.io/acme/../acme/app",
                    "ghcr.io//acme/app",
                ],
            ),
            (
                "ghcr.io/acme/app:*",
                &["ghcr.io/acme/app:v1", &by_digest],
                &["ghcr.io/acme/app2:v1"],
            ),
            (
                "ghcr.io/acme/app:v1",
                &["ghcr.io/acme/app:v1"],
                &[
                    "ghcr.io/acme/app",
                    "ghcr.io/acme/app:v1.2",
                    &by_digest,
                    &tag_and_digest,
                ],
            ),
            (
                "ghcr.io/acme/app:v*",
                &["ghcr.io/acme/app:v1"],
                &["ghcr.io/acme/app:latest", "ghcr.io/acme/app:v"],
            ),
            (
                "ghcr.io/acme/*",
                &["ghcr.io/acme/x:1", &by_digest],
                &[
                    "ghcr.io/acme-evil/x",
                    "ghcr.io/acme",
                    "ghcr.io/acme/a/b",
                    "ghcr.io/acme/*",
                    "ghcr.io/acme/",
                ],
            ),
            (
                "ghcr.io/acme/**",
                &["ghcr.io/acme/x", "ghcr.io/acme/a/b:1"],
                &["ghcr.io/acme", "ghcr.io/acmex/a"],
            ),
            (
                "ghcr.io/acme/*@sha256:*",
                &[&by_digest, &tag_and_digest],
                &["ghcr.io/acme/app:v1", "ghcr.io/acme/app"],
            ),
            (
                "nginx",
                &[
                    "nginx",
                    "nginx:1",
                    "docker.io/nginx",
                    "docker.io/library/nginx",
                    "index.docker.io/library/nginx",
                ],
                &["evil/nginx", "nginx.evil.com/nginx", "library/nginx/x"],
            ),
            (
                "basecamp/kamal-proxy",
                &[
                    "basecamp/kamal-proxy:v0.9.2",
                    "docker.io/basecamp/kamal-proxy",
                ],
                &["basecamp/kamal-proxy-evil", "ghcr.io/basecamp/kamal-proxy"],
            ),
            (
                "localhost:5000/app",
                &["localhost:5000/app:1"],
                &["localhost:5001/app:1", "localhost/app", "app:1"],
            ),
            ("**", &["nginx", "a.b/c/d:e"], &["", "A", "-"]),
        ],
    );
    refuses(
        ImagePattern::parse,
        &[
            "",
            "*",
            "*/x",
            "ghcr.io/*/app",
            "ghcr.io/**/app",
            "gh*.io/x/y",
            "ghcr.io/a*b",
            "ghcr.io//x",
            "a:b@sha256:*",
            "a@md5:x",
            "a:",
            "a b",
            "Ghcr.io/App",
            "ghcr.io/a*/**",
        ],
    );
    assert!(is_reference("a/b:c") && !is_reference("a b"));
}

#[test]
fn options_are_matched_by_name_and_value() {
    let covers = |pattern: &OptionPattern, option: &str| {
        let (name, value) = option.split_once('=').unwrap_or((option, "true"));
        pattern.covers(name, value)
    };
    check(
        OptionPattern::parse,
        covers,
        &[
            (
                "privileged",
                &["privileged", "privileged=true"],
                &["privileged=false", "privilege", ""],
            ),
            (
                "cap-add=NET_ADMIN",
                &["cap-add=NET_ADMIN", "cap_add=NET_ADMIN"],
                &["cap-add=SYS_ADMIN", "cap-add", "cap-drop=NET_ADMIN"],
            ),
            ("cap_add=*", &["cap-add=ALL"], &["cap-add="]),
            (
                "device=/dev/tty*",
                &["device=/dev/ttyS0"],
                &["device=/dev/sda"],
            ),
        ],
    );
    refuses(
        OptionPattern::parse,
        &["", "--privileged", "=x", "a b", "cap-add=a*b", "Ünïcode"],
    );
}

#[test]
fn patterns_print_as_they_are_written() {
    fn same<P: std::fmt::Display>(parse: impl Fn(&str) -> Result<P, PatternError>, texts: &[&str]) {
        for text in texts {
            assert_eq!(parse(text).expect(text).to_string(), *text);
        }
    }
    same(NamePattern::parse, &["db", "app-*", "*"]);
    same(HostPattern::parse, &["web-*", "10.0.0.1", "**"]);
    same(
        PathPattern::parse,
        &["/srv/**", "/a/b*", ".kamal/*", "/", "/**", "**", "."],
    );
    same(MountPattern::parse, &["vol", "/srv/**"]);
    same(ArgvPattern::parse, &["a b* *", "a **"]);
    same(
        ImagePattern::parse,
        &[
            "nginx",
            "a/b:v1",
            "ghcr.io/a/*@sha256:*",
            "ghcr.io/a/**",
            "**",
        ],
    );
    same(OptionPattern::parse, &["privileged", "cap-add=*"]);
}
