//! Code of PHP, and its serialised objects.

use super::Words;
use super::around::{
    ends, evidence, first, from, has, in_prose, is_called, last, leads, name, weigh, words,
};
use crate::list::{List, Prefixes};
use crate::spot::{is_space, is_word, skip_space};
use crate::{Context, Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "",
        verify: upload,
    },
    Words {
        list: "<?",
        verify: tag,
    },
    Words {
        list: "[php] [/php] [\\php] [/\\php] {php} {/php}",
        verify: marked,
    },
    Words {
        list: "php:// phar:// expect:// compress.zlib:// compress.bzip2:// zlib:// bzip2:// glob:// zip:// rar:// ogg:// \
               ssh2.exec:// ssh2.shell:// ssh2.sftp://",
        verify: wrapper,
    },
    Words {
        list: "$_get $_post $_server $_request $_cookie $_files $_env $_session $globals $http_ $argv $php_self $this->",
        verify: global,
    },
    Words {
        list: "shell_exec passthru proc_open pcntl_exec pcntl_fork phpinfo php_uname create_function call_user_func \
               call_user_func_array call_user_method base64_decode gzinflate gzuncompress gzdecode str_rot13 convert_uudecode \
               preg_replace preg_replace_callback file_get_contents file_put_contents move_uploaded_file fsockopen pfsockopen \
               curl_exec curl_multi_exec ini_set ini_get highlight_file show_source readgzfile parse_ini_file array_map \
               array_filter array_walk array_diff_ukey array_udiff usort uasort uksort register_shutdown_function \
               register_tick_function ob_start set_error_handler spl_autoload_register get_defined_vars get_cfg_var \
               mb_ereg_replace escapeshellcmd escapeshellarg putenv apache_setenv posix_getpwuid posix_getuid posix_kill \
               posix_mkfifo posix_uname proc_nice proc_terminate proc_get_status simplexml_load_string mysql_query mysqli_query \
               set_include_path error_reporting set_time_limit func_get_args is_callable get_current_user getmyuid \
               disk_free_space phpversion phpcredits zend_version get_class_methods get_class_vars \
               get_defined_functions get_defined_constants posix_getcwd sys_get_temp_dir apache_child_terminate __halt_compiler \
               bzdecompress zlib_decode invokeargs reflectionfunction wp_remote_get wp_remote_post wp_remote_request \
               wp_remote_fopen call_user_method_array dl",
        verify: function,
    },
    Words {
        list: "exec system eval assert popen include include_once require require_once unserialize print_r var_dump intval \
               strip_tags stripslashes addslashes htmlspecialchars filegroup fileowner fileperms fileinode readfile \
               assert_options ucfirst nl2br strrev is_numeric array_merge str_replace rawurlencode extract implode explode \
               printf substr fopen chr unpack ord file unlink symlink mkdir rmdir chmod chown readlink md5 sha1 die hex2bin bin2hex",
        verify: shared,
    },
    Words {
        list: "array_ date_ file_ ftp_ gethostby gz hash_ imap_ image ini_ ldap_ mb_ mcrypt_ mysql_ mysqli_ ob_ odbc_ openssl_ \
               pcntl_ pg_ php_ posix_ preg_ proc_ session_ shm_ sodium_ sqlite_ stream_ tidy_ timezone_ zip_ zlib_ apache_ \
               ctype_ func_get_ iconv_ simplexml_ html_entity_ htmlspecial spl_ curl_ cal_ gmp_ geoip_ snmp_ str_ xml_",
        verify: family,
    },
    Words {
        list: "\"( '( )( ]( }(",
        verify: called_text,
    },
    Words {
        list: "$",
        verify: variable,
    },
    Words {
        list: "o: c: a:",
        verify: serialised,
    },
    Words {
        list: "allow_url_include allow_url_fopen auto_prepend_file auto_append_file disable_functions disable_classes \
               open_basedir safe_mode memory_limit unserialize_max_depth unserialize_callback_func opcache. \
               session.upload_progress max_execution_time display_errors register_globals magic_quotes cgi.force_redirect \
               cgi.fix_pathinfo suhosin. zend_extension short_open_tag extension_dir variables_order log_errors \
               upload_max_filesize post_max_size assert.active session.save_path session.use_ xdebug. mbstring. zend. \
               error_prepend_string error_append_string highlight. user_ini. soap. sendmail_path doc_root file_uploads",
        verify: setting,
    },
];

const FUNCTION: &str = "php function";

/// A file that the server would run.
fn upload(spot: &Spot<'_>) -> Option<Evidence> {
    const ENDINGS: List = List::new(
        "php php2 php3 php4 php5 php6 php7 php8 phps pht phtm phtml phar phpt pgif shtml inc",
    );
    if spot.context() != Context::FileName {
        return None;
    }
    spot.work().add(spot.after().len().saturating_mul(2));
    let mut parts = spot.after().split(|byte| *byte == b'.').skip(1);
    let found = parts.any(|part| {
        let part = skip_space(part);
        let end = part.iter().position(|byte| !is_word(*byte));
        ENDINGS.has(first(part, end.unwrap_or(part.len())))
    });
    found.then_some(Evidence::new("php file", Evidence::SURE))
}

/// What begins code: `<?php`, `<?=`.
fn tag(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 32);
    let next = skip_space(after);
    let score = match next.strip_prefix(b"php") {
        Some([byte, ..]) if is_word(*byte) => 0,
        Some(_) => weigh(spot, Evidence::SURE, Evidence::LIKELY),
        None if after.starts_with(b"=") => weigh(spot, Evidence::SURE, Evidence::LIKELY),
        None => match after.strip_prefix(b"xml").map(skip_space) {
            // What follows `xml` is `version` and nothing else.
            Some([b':' | b'(', ..]) => Evidence::LIKELY,
            Some(_) => 0,
            // `List<? extends X>`.
            None if const { Prefixes::new("extends super > ,") }
                .strip(next)
                .is_some() =>
            {
                0
            }
            None if after.is_empty() => Evidence::LIKELY - 5,
            None if next.len() < after.len()
                && next.first().is_some_and(u8::is_ascii_alphabetic) =>
            {
                // Code has signs between its words.
                match words(next) > 2 {
                    true => Evidence::SUSPECT,
                    false => weigh(spot, Evidence::LIKELY, Evidence::SUSPECT),
                }
            }
            None => 0,
        },
    };
    evidence("php tag", score)
}

fn marked(spot: &Spot<'_>) -> Option<Evidence> {
    evidence(
        "php tag",
        weigh(spot, Evidence::LIKELY - 5, Evidence::SUSPECT),
    )
}

fn wrapper(spot: &Spot<'_>) -> Option<Evidence> {
    let own =
        spot.word().starts_with(b"ph") || spot.word().starts_with(b"e") || spot.word().len() > 9;
    let score = match own {
        true => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        false if leads(spot) || spot.before().ends_with(b"=") => Evidence::LIKELY,
        false => Evidence::HINT,
    };
    evidence("php stream", score)
}

fn global(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let own = !matches!(spot.word(), b"$this->" | b"$argv");
    let next = after.first().copied();
    let score = match next {
        _ if !own => Evidence::HINT,
        Some(b'[' | b'{') => weigh(spot, Evidence::SURE, Evidence::LIKELY),
        Some(byte) if is_word(byte) && spot.word() != b"$http_" => 0,
        _ => weigh(spot, Evidence::LIKELY - 5, Evidence::HINT),
    };
    evidence("php variable", score)
}

/// Whether it is called, and whether a comment stands between the name and the bracket.
fn call(after: &[u8]) -> Option<bool> {
    let next = skip_space(first(after, 48));
    match next {
        [b'(', ..] => Some(false),
        [b'/', b'*', rest @ ..] => {
            let end = rest.windows(2).position(|two| two == b"*/")?;
            is_called(from(rest, end.saturating_add(2))).then_some(true)
        }
        [b'#', rest @ ..] | [b'/', b'/', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            is_called(from(rest, end)).then_some(true)
        }
        _ => None,
    }
}

/// Whether the text is a call and nothing else.
fn is_whole_call(spot: &Spot<'_>) -> bool {
    let after = spot.after();
    let end = after
        .iter()
        .rposition(|byte| !is_space(*byte) && !b";.".contains(byte));
    let before = spot.before();
    let begins = leads(spot)
        || (before.len() < 24 && before.last().is_some_and(|byte| b"=;/\"'@".contains(byte)));
    begins
        && after.len() < 80
        && end
            .and_then(|end| after.get(end))
            .is_some_and(|byte| b")s}(".contains(byte))
}

/// Whether what follows is a member of something.
fn is_member(before: &[u8]) -> bool {
    let joined = before.ends_with(b"'.") || before.ends_with(b"\".");
    !joined && before.last().is_some_and(|byte| b".:>_".contains(byte))
}

/// Functions that attacks call and other languages do not have.
fn function(spot: &Spot<'_>) -> Option<Evidence> {
    const WEAK: List = List::new(
        "dl usort uasort ini_get array_map array_filter array_walk ob_start ini_set error_reporting phpversion preg_replace \
        set_time_limit is_callable func_get_args base64_decode mysql_query mysqli_query file_get_contents putenv curl_exec \
        simplexml_load_string",
    );
    // A name alone is what is to be called back.
    if !spot.is_whole() {
        return None;
    }
    let Some(disguised) = call(spot.after()) else {
        const SETS: List = List::new(
            "dl usort uasort ini_get array_map array_filter array_walk ob_start ini_set error_reporting \
            phpversion preg_replace set_time_limit is_callable",
        );
        let before = spot
            .before()
            .last()
            .is_none_or(|byte| b"/=\"'@ ".contains(byte));
        let alone =
            before && spot.before().len() < 24 && ends(spot.after()) && !SETS.has(spot.word());
        spot.work().add(64);
        let few = spot.before().len().saturating_add(spot.after().len()) < 60
            && words(spot.before()).saturating_add(words(spot.after())) < 3
            && !WEAK.has(spot.word());
        return (alone || few).then_some(Evidence::new(
            "name of a php function",
            Evidence::LIKELY - 5,
        ));
    };

    let method = is_member(spot.before());
    let score = match WEAK.has(spot.word()) {
        _ if disguised => Evidence::SURE,
        _ if method => Evidence::HINT,
        true if is_whole_call(spot) => Evidence::LIKELY,
        true => weigh(spot, Evidence::SUSPECT, Evidence::HINT),
        false => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    };
    evidence(FUNCTION, score)
}

/// Functions that other languages have too.
fn shared(spot: &Spot<'_>) -> Option<Evidence> {
    const RUNS: List = List::new(
        "exec system eval assert popen unserialize include require include_once require_once",
    );
    const COMMON: List = List::new(
        "printf substr fopen chr unpack ord file unlink symlink mkdir rmdir chmod chown readlink md5 sha1 die assert \
        require include extract explode implode",
    );
    if !spot.is_whole() {
        return None;
    }
    spot.work().add(48);
    let Some(disguised) = call(spot.after()) else {
        return quoted(spot);
    };
    let method = is_member(spot.before())
        || spot.before().ends_with(b"fn ")
        || spot.before().ends_with(b"def ");
    let inside = skip_space(first(from(spot.after(), 1), 16));
    // What PHP would run is a text or a variable of its own.
    let own = inside.starts_with(b"$") || inside.starts_with(b"@");
    let score = match (RUNS.has(spot.word()), is_whole_call(spot)) {
        _ if method => 0,
        _ if disguised && RUNS.has(spot.word()) => Evidence::SURE,
        _ if disguised => Evidence::LIKELY,
        (true, _) if own || spot.before().ends_with(b"@") => {
            weigh(spot, Evidence::LIKELY, Evidence::SUSPECT)
        }
        (true, true) if !COMMON.has(spot.word()) => Evidence::LIKELY,
        (false, true) if !COMMON.has(spot.word()) => Evidence::LIKELY - 5,
        (_, true) => Evidence::SUSPECT,
        (true, false) => Evidence::HINT,
        (false, false) => 0,
    };
    evidence(FUNCTION, score)
}

/// `include 'http://…'`.
fn quoted(spot: &Spot<'_>) -> Option<Evidence> {
    let next = skip_space(first(spot.after(), 24))
        .strip_prefix(b"'")
        .or(skip_space(first(spot.after(), 24)).strip_prefix(b"\""))?;
    let once = spot.word().ends_with(b"_once") && leads(spot);
    let found = once
        || (spot.word().starts_with(b"include")
            && const { Prefixes::new("http: https: ftp: data: php: /") }
                .strip(next)
                .is_some());
    found.then_some(Evidence::new(FUNCTION, Evidence::LIKELY))
}

/// A function by the beginning of its name.
fn family(spot: &Spot<'_>) -> Option<Evidence> {
    let (rest, after) = name(first(spot.after(), 40));
    let found = !rest.is_empty() && is_called(after) && leads(spot);
    let score = if spot.after().len() < 60 {
        Evidence::SUSPECT
    } else {
        Evidence::HINT
    };
    found.then_some(Evidence::new("php-like function", score))
}

/// Functions that a text is the name of: `"system"("id")`, `(system)(ls)`, `('sys'.'tem')(ls)`.
fn called_text(spot: &Spot<'_>) -> Option<Evidence> {
    const RUNS: &[&[u8]] = &[
        b"system",
        b"exec",
        b"passthru",
        b"shell_exec",
        b"popen",
        b"proc_open",
        b"assert",
        b"eval",
        b"phpinfo",
        b"call_user_func",
        b"file_get_contents",
        b"readfile",
        b"highlight_file",
        b"print_r",
        b"var_dump",
    ];
    spot.work().add(96);
    let before = last(spot.before(), 40);
    let open: &[u8] = match spot.word() {
        [quote @ (b'"' | b'\''), ..] => std::slice::from_ref(quote),
        [b')', ..] => b"(",
        [b']', ..] => b"[",
        _ => b"{",
    };
    let start = before.iter().rposition(|byte| open.contains(byte))?;
    let inside = from(before, start.saturating_add(1));
    spot.work().add(inside.len().saturating_mul(8));
    let escaped = has(inside, b"\\x") || has(inside, b"'.'") || has(inside, b"\".\"");
    // A comment before the name.
    let inside = match inside.windows(2).rposition(|two| two == b"*/") {
        Some(end) => from(inside, end.saturating_add(2)),
        None => inside,
    };
    let named = RUNS
        .iter()
        .any(|run| inside.iter().filter(|byte| is_word(**byte)).eq(run.iter()));
    // A link of Markdown.
    if spot.word() == b"]("
        && const { Prefixes::new("http / # . < mailto") }
            .strip(spot.after())
            .is_some()
    {
        return None;
    }
    let variable = spot.word() == b")(" && inside.starts_with(b"$") && inside.len() > 1;
    let score = match (named, escaped) {
        (true, _) => weigh(spot, Evidence::SURE, Evidence::LIKELY),
        (_, true) => Evidence::LIKELY - 5,
        _ if variable => Evidence::LIKELY - 5,
        _ => 0,
    };
    evidence("call of a text", score)
}

/// Functions that a variable is the name of: `$a(1)`, `${'a'}(1)`, `$a['b'](1)`, `$a->$b()`.
fn variable(spot: &Spot<'_>) -> Option<Evidence> {
    const KIND: &str = "call of a variable";
    let after = first(spot.after(), 60);
    // `$ {a}`.
    let gap = skip_space(after);
    if gap.len() < after.len() {
        let inside = skip_space(gap.strip_prefix(b"{")?);
        let found = inside
            .first()
            .is_some_and(|byte| is_word(*byte) || b"'\"$".contains(byte))
            && inside.contains(&b'}');
        return found.then_some(Evidence::new(KIND, Evidence::LIKELY - 5));
    }
    let before = spot.before().last();
    if before.is_some_and(|byte| is_word(*byte) || *byte == b'.') || after.starts_with(b"(") {
        return None;
    }
    let dollars = after.iter().take_while(|byte| **byte == b'$').count();
    let (variable, mut rest) = match from(after, dollars) {
        braced @ [b'{', ..] => (&b"{"[..], braced),
        other => name(other),
    };
    if variable.is_empty() || variable.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    // What stands between the name and the bracket.
    spot.work().add(64);
    for _ in 0..6 {
        rest = match rest {
            [b'[', inside @ ..] => from(
                inside,
                inside
                    .iter()
                    .position(|byte| *byte == b']')?
                    .saturating_add(1),
            ),
            [b'{', inside @ ..] => from(
                inside,
                inside
                    .iter()
                    .position(|byte| *byte == b'}')?
                    .saturating_add(1),
            ),
            [b'/', b'*', inside @ ..] => from(
                inside,
                inside
                    .windows(2)
                    .position(|two| two == b"*/")?
                    .saturating_add(2),
            ),
            [b'=', b'@', b'$', other @ ..] => name(other).1,
            _ => break,
        };
    }
    let called = rest.first() == Some(&b'(');
    let member = spot.before().ends_with(b"->") || spot.before().ends_with(b"::");
    let empty = after.starts_with(b"{}");
    let whole = leads(spot) || member || before.is_some_and(|byte| b"=@;".contains(byte));
    // `$http(`, `$timeout(`: of a framework.
    let known = const { List::new("http q timeout interval compile t event on emit el watch eval parse filter refs set delete") }.has(variable);
    let score = match whole {
        _ if !called || empty || known => 0,
        true if in_prose(spot) => Evidence::HINT,
        true if spot.after().len() < 60 => Evidence::LIKELY - 5,
        true => Evidence::SUSPECT,
        false => Evidence::HINT,
    };
    evidence(KIND, score)
}

/// `O:4:"Name":`, `a:1:{`.
fn serialised(spot: &Spot<'_>) -> Option<Evidence> {
    let after = first(spot.after(), 16);
    let after = after.strip_prefix(b"+").unwrap_or(after);
    let digits = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let rest = from(after, digits).strip_prefix(b":")?;
    let object =
        spot.word() != b"a:" && matches!(rest, [b'"', ..] | [b'\\', b'"', ..] | [b'\'', ..]);
    let array = spot.word() == b"a:" && rest.starts_with(b"{");
    if digits == 0 {
        return None;
    }
    let score = match (object, array) {
        (true, _) => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        (_, true) => Evidence::SUSPECT - 5,
        _ => 0,
    };
    evidence("serialised php object", score)
}

/// A setting of PHP's.
fn setting(spot: &Spot<'_>) -> Option<Evidence> {
    let (_, rest) = name(first(spot.after(), 40));
    let rest = match spot.word().ends_with(b".") {
        true => skip_space(rest),
        false => skip_space(first(spot.after(), 8)),
    };
    let value = rest.strip_prefix(b"=")?;
    let given = spot.before().ends_with(b"-d ") || spot.before().ends_with(b"-d+");
    let runs = spot.word().starts_with(b"auto_") || spot.word().starts_with(b"allow_url");
    let score = match given || runs {
        true => weigh(spot, Evidence::SURE, Evidence::SUSPECT),
        false
            if (leads(spot) || spot.before().ends_with(b"="))
                && !value.starts_with(b"=")
                && value.len() < 40 =>
        {
            Evidence::LIKELY - 5
        }
        false => Evidence::HINT,
    };
    evidence(
        "php setting",
        if ends(value) {
            score.min(Evidence::SUSPECT)
        } else {
            score
        },
    )
}

#[cfg(test)]
mod tests {
    use crate::detector::{found, found_in};
    use crate::{Class, Context};

    fn is_found(text: &str) -> bool {
        found(text).iter().any(|(class, ..)| *class == Class::Php)
    }

    #[test]
    fn code_is_found() {
        for attack in [
            "<?php echo 1;",
            "<?= 1 ?>",
            "x<?\nsystem('id')",
            "{php}x{/php}",
            "php://filter/read=convert.base64-encode/resource=x",
            "phar://x.jpg",
            "$_GET['x']",
            "$GLOBALS[x]",
            "phpinfo()",
            "a'.shell_exec('id').'",
            "@exec($x)",
            "system(whoami)",
            "exec/**/('x')",
            "exec #x\n('x')",
            "\"system\"(\"id\")",
            "('sys'.'tem')('id')",
            "(system)(ls)",
            "$a(1)",
            "$x['y'](1)",
            "${'a'}(1)",
            "Foo::$bar()",
            "O:8:\"stdClass\":0:{}",
            "allow_url_include=1",
            "-d auto_prepend_file=php://input",
        ] {
            assert!(is_found(attack), "{attack}");
        }
    }

    #[test]
    fn texts_and_other_code_are_not() {
        for harmless in [
            "<?xml version=\"1.0\"?>",
            "List<? extends Number> x",
            "The PHP system (see below) is fine.",
            "system requirements",
            "printf(\"%d\\n\", x);",
            "let x = file.exec(y);",
            "self.eval(x)",
            "$5 (five dollars)",
            "costs $x",
            "$(this).hide()",
            "$http.get(x)",
            "a:1",
            "ratio a:2:3",
            "index.php?x=1",
            "to: 12:30",
            "memory_limit",
        ] {
            assert!(!is_found(harmless), "{harmless}: {:?}", found(harmless));
        }
    }

    #[test]
    fn files_that_are_run_are_found_by_their_names() {
        for attack in [
            "a.php",
            "a.php.jpg",
            "A.PHTML",
            "a. php5.gif",
            "a.phar .png",
        ] {
            assert_eq!(found_in(Context::FileName, attack).len(), 1, "{attack}");
        }
        for harmless in ["a.jpg", "php", "php.png", "a.phpx.png"] {
            assert_eq!(found_in(Context::FileName, harmless), [], "{harmless}");
        }
        assert!(!is_found("a.php"));
    }
}
