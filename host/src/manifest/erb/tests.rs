use super::*;

fn environment() -> BTreeMap<String, String> {
    let pairs = [("NAME", "val"), ("EMPTY", ""), ("N", "3")];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn read_file(path: &str) -> io::Result<String> {
    match path {
        "tok.txt" => Ok("s3cret\n".into()),
        ".env" => Ok("NAME=file\nFROM_FILE=$NAME\n".into()),
        "run.env" => Ok("A=$(allowed)\n".into()),
        "bad.env" => Ok("A=$(rm -rf /)\n".into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn try_render(text: &str) -> Result<Rendered, Diagnostic> {
    render(
        "config/deploy.yml",
        text,
        &mut World {
            environment: environment(),
            allowed_commands: &["allowed".to_owned(), "echo $(date)".to_owned()],
            run: &|command, environment| Ok(format!("[{command} {}]\n", environment["NAME"])),
            read_file: &read_file,
            docker_arch: &|| Ok("arm64".into()),
        },
    )
}

#[test]
fn the_subset_is_evaluated_as_ruby_does() {
    for (text, expected) in [
        ("plain", "plain"),
        ("<%= ENV[\"NAME\"] %>|<%= ENV['NOPE'] %>|", "val||"),
        ("<%= ENV.fetch('NAME') %>", "val"),
        ("<%= ENV.fetch('NOPE', 'd') %>", "d"),
        ("<%= ENV.fetch('NOPE', nil) %>|", "|"),
        ("<%= ENV.fetch('NOPE') { ENV['NAME'] } %>", "val"),
        ("<%= ENV['NOPE'] || ENV['EMPTY'] || 'x' %>|", "|"),
        ("<%= ENV['EMPTY'].presence || 'x' %>", "x"),
        ("<%= ENV['NAME'] && 'set' %>", "set"),
        ("<%= ENV['NAME'] || ENV.fetch('NOPE') %>", "val"),
        ("<%= ENV['NOPE']&.strip %>|", "|"),
        ("<%= ENV.key?('NAME') %>", "true"),
        ("<%= File.read('tok.txt').strip %>", "s3cret"),
        ("<%= File.exist?('none') ? 1 : 2 %>", "2"),
        ("<%= `allowed` %>|", "[allowed val]\n|"),
        ("<%= %x(allowed).chomp %>|", "[allowed val]|"),
        ("<%= %x{echo $(date)}.strip %>", "[echo $(date) val]"),
        ("<%= %x[allowed].strip %>", "[allowed val]"),
        ("<%= Kamal::Utils.docker_arch %>", "arm64"),
        (
            "<%= Kamal::Utils.docker_arch == \"arm64\" ? \"amd64\" : \"arm64\" %>",
            "amd64",
        ),
        ("<%= 'a' + \"b\" %>", "ab"),
        ("<%= 1 + 2 - 4 %>", "-1"),
        ("<%= ENV['N'].to_i + 1 %>", "4"),
        ("<%= \"x-#{ENV['NAME']}-\\n\\\"\" %>", "x-val-\n\""),
        ("<%= 'it\\'s \\n #{x}' %>", "it's \\n #{x}"),
        ("<%= !ENV['NAME'] %>", "false"),
        ("<%= ENV['NAME'] != 'x' %>", "true"),
        ("<%= ('a') %>", "a"),
        ("<%= 'no' if ENV['NOPE'] %>|", "|"),
        ("<%= 'yes' unless ENV['NOPE'] %>", "yes"),
        ("<% x = 'v' %><%= x %>", "v"),
        ("<% a = 1; b = a + 1\n c = b %><%= c %>", "2"),
        (
            "<% require 'dotenv'; Dotenv.load('.env') %><%= ENV['FROM_FILE'] %>",
            "val",
        ),
        ("<% Dotenv.load %><%= ENV['NAME'] %>", "val"),
        ("<% Dotenv.overload '.env' %><%= ENV['NAME'] %>", "file"),
        (
            "<% Dotenv.load 'none', \"run.env\" %><%= ENV['A'] %>",
            "[allowed val]",
        ),
        ("a: <%%= x %>", "a: <%= x %>"),
        ("<%= %>|", "|"),
        ("<%= ENV['NOPE'] ||\n  'x' %>", "x"),
        ("<%= ENV.fetch('NAME')\n  .upcase %>", "VAL"),
        ("<%= ENV.fetch(\n  'NOPE',\n  'x'\n) %>", "x"),
        ("<%# c %>\na", "\na"),
        ("<%# c -%>\na", "a"),
        ("  <%- x = 1 -%>\na", "a"),
    ] {
        let rendered = try_render(text).map(|rendered| rendered.text);
        assert_eq!(rendered.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn branches_choose_text() {
    let template =
        "<% if ENV['A'] -%>\na\n<% elsif ENV['B'] then -%>\nb\n<% else -%>\nc\n<% end -%>\nd\n";
    for (name, expected) in [("A", "a\nd\n"), ("B", "b\nd\n"), ("C", "c\nd\n")] {
        let text = format!("<% {} = 1 -%>\n{template}", name.to_lowercase());
        let text = text.replace("ENV['A']", &format!("'{name}' == 'A'"));
        let text = text.replace("ENV['B']", &format!("'{name}' == 'B'"));
        assert_eq!(
            try_render(&text).map(|rendered| rendered.text).as_deref(),
            Ok(expected)
        );
    }
    // Nothing happens in a branch that does not count.
    let text = "<% if false %><%= ENV.fetch('NOPE') %><% if true %>x<% end %><% end %>y";
    assert_eq!(
        try_render(text).map(|rendered| rendered.text).as_deref(),
        Ok("y")
    );
    let text = "<% unless ENV['NOPE'] %>x<% end %>";
    assert_eq!(
        try_render(text).map(|rendered| rendered.text).as_deref(),
        Ok("x")
    );
}

#[test]
fn on_comment_lines_what_is_not_known_stays_as_it_is() {
    for (text, expected) in [
        ("# <%= ENV['NAME'] %>\na: 1\n", "# val\na: 1\n"),
        (
            "  # v: <%= ENV['V'] || File.read('.ruby-version') %>\n",
            "  # v: <%= ENV['V'] || File.read('.ruby-version') %>\n",
        ),
        ("# <%= `rm -rf /` %>\n", "# <%= `rm -rf /` %>\n"),
        ("# <%= 1/0 if false %>\n", "# <%= 1/0 if false %>\n"),
        (
            "# <% servers.each do |s| %>\n",
            "# <% servers.each do |s| %>\n",
        ),
        ("# <%= foo(1) -%>\na", "# <%= foo(1) -%>\na"),
    ] {
        let rendered = try_render(text).map(|rendered| rendered.text);
        assert_eq!(rendered.as_deref(), Ok(expected), "{text}");
    }
    assert!(
        try_render("# <%= nosuch %>\n").is_err(),
        "Ruby stops here too"
    );
}

#[test]
fn everything_else_is_refused_with_its_place_and_a_cure() {
    for (text, line, column, length, code, part) in [
        (
            "a: 1\nb: <%= ENV.fetch(\"NOPE\") %>",
            2,
            8,
            17,
            "erb",
            "NOPE is not set",
        ),
        (
            "é: <%= nosuch %>",
            1,
            8,
            6,
            "erb",
            "`nosuch` is not defined",
        ),
        (
            "<%= raise \"boom\" %>",
            1,
            5,
            5,
            "erb-unsupported",
            "`raise`",
        ),
        ("<%= ( %>", 1, 7, 1, "erb", "missing"),
        (
            "<% servers.each do |s| %>",
            1,
            12,
            4,
            "erb-unsupported",
            "`.each`",
        ),
        (
            "<%= `rm -rf /` %>",
            1,
            5,
            10,
            "erb",
            "was not allowed: rm -rf /",
        ),
        ("<%= `allowed; rm` %>", 1, 5, 13, "erb", "not allowed"),
        (
            "<%= %x(allowed #{ENV['NAME']}) %>",
            1,
            5,
            26,
            "erb",
            "not allowed: allowed val",
        ),
        (
            "<%= ENV['NAME'].reverse %>",
            1,
            17,
            7,
            "erb-unsupported",
            "`.reverse`",
        ),
        ("<%= ENV['NOPE'].strip %>", 1, 17, 5, "erb", "on nil"),
        (
            "<%= ENV['NOPE']&.reverse %>",
            1,
            18,
            7,
            "erb-unsupported",
            "`.reverse`",
        ),
        (
            "<%= File.read('none') %>",
            1,
            5,
            17,
            "erb",
            "can't read none",
        ),
        (
            "<%= File.write('x', 'y') %>",
            1,
            10,
            5,
            "erb-unsupported",
            "`File.write`",
        ),
        ("<% require 'json' %>", 1, 4, 14, "erb-unsupported", "json"),
        (
            "<% Dotenv.load 'bad.env' %>",
            1,
            4,
            21,
            "erb",
            "not allowed: rm -rf /",
        ),
        ("<%= 'x", 1, 1, 3, "erb", "no end"),
        ("<%= 'x %>", 1, 5, 1, "erb", "no end"),
        ("a\n<% if true %>x", 2, 4, 2, "erb", "`<% end %>`"),
        ("<% end %>", 1, 4, 3, "erb", "without an `if`"),
        ("<% if nosuch %><% end %>", 1, 7, 6, "erb", "not defined"),
        ("<%= 1 + 'x' %>", 1, 7, 1, "erb", "added"),
        ("<%= ENV[1] %>", 1, 9, 1, "erb", "quotes"),
        ("<%= 'a' 'b' %>", 1, 9, 3, "erb-unsupported", "'b'"),
        ("<%= 1.5 %>", 1, 5, 1, "erb-unsupported", "number"),
        ("<%= \"\\u00e9\" %>", 1, 6, 2, "erb-unsupported", "escape"),
        ("<%= x = 1 ? 2 %>", 1, 15, 1, "erb", "`:` is missing"),
    ] {
        let error = try_render(text).expect_err(text);
        let at = error.at.clone().expect("it has a place");
        assert_eq!(
            (at.line, at.column, at.length),
            (line, column, length),
            "{text}: {error:?}"
        );
        assert_eq!(error.code, code, "{text}");
        assert!(error.message.contains(part), "{text}: {}", error.message);
    }
}

#[test]
fn deep_nesting_is_refused_instead_of_exhausting_the_stack() {
    for (open, close) in [("(", ")"), ("\"#{", "}\""), ("!", ""), ("true ? ", " : 1")] {
        let text = format!("<%= {}1{} %>", open.repeat(20_000), close.repeat(20_000));
        let _ = try_render(&text);
    }
}

#[test]
fn a_place_in_the_result_is_traced_to_the_tag() {
    let source = "a: <%= ENV['NAME'] %>x\n<%# gone -%>\nb: c\n";
    let rendered = try_render(source).expect("it renders");
    assert_eq!(rendered.text, "a: valx\nb: c\n");
    for ((line, column, length), expected) in [
        ((1, 5, 2), (1, 4, 18)),
        ((1, 7, 1), (1, 22, 1)),
        ((2, 4, 1), (3, 4, 1)),
    ] {
        let path = "f".to_owned();
        let at = super::super::diagnostic::Position {
            path,
            line,
            column,
            length,
        };
        let traced = rendered.origins.trace(&at, &rendered.text, source);
        assert_eq!(
            (traced.line, traced.column, traced.length),
            expected,
            "{at:?}"
        );
    }
}
