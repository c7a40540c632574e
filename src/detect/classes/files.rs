//! Files of the service that nobody should reach, addresses inside of the network, and what others host.

mod address;

use super::Words;
use super::around::{
    ends, evidence, find, first, from, has, in_prose, is_all, last, leads, name, weigh,
};
use crate::list::{List, Prefixes, strip_one_of};
use crate::spot::is_word;
use crate::{Context, Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "",
        verify: beginning,
    },
    Words {
        list: "../ ..\\ ..;/ ..;\\",
        verify: upwards,
    },
    Words {
        list: "....// ....\\\\ ....\\/ ..././ ...\\.\\ ..%2f ..%5c ..%c0%af ..%c1%9c ..%252f ..%255c %2e%2e/ %2e%2e%2f %2e%2e\\ \
               %2e%2e%5c .%2e/ .%2e%2f %2e./ %252e%252e ..%u2215 ..%u2216 %uff0e%uff0e ..%00/ ..0x2f ..\\x2f",
        verify: upwards_disguised,
    },
    Words {
        list: "etc/",
        verify: settings,
    },
    Words {
        list: "proc/",
        verify: processes,
    },
    Words {
        list: "var/log/ var/lib/ var/run/ var/mail/ var/spool/ usr/local/ root/ home/ opt/ boot/",
        verify: directory,
    },
    Words {
        list: "c:\\ c:/ d:\\ \\windows\\ /windows/ \\winnt\\ /winnt/ boot.ini win.ini %windir%\\ system32",
        verify: windows,
    },
    Words {
        list: "web-inf/ web-inf\\ meta-inf/ .ssh/ .aws/ .kube/ .docker/ .gnupg/ .azure/ .git/ .svn/ .hg/ .bzr/ .subversion/ .env \
               .htaccess .htpasswd .htdigest .bash_history .bashrc .bash_profile .profile .zsh_history .mysql_history .psql_history \
               .pgpass .my.cnf .netrc .npmrc .pypirc .git-credentials .gitconfig .dockercfg .ds_store .viminfo .vimrc .cshrc .kshrc .zshrc .tcshrc .rhosts .forward .procmailrc .python_history .node_repl_history .sqlite_history .php_history .ksh_history .sh_history .tmux.conf .xauthority .lesshst .gitattributes .dockerignore .htgroup .wget-hsts .rediscli_history \
               wp-config. web.config id_rsa id_dsa id_ed25519 id_ecdsa authorized_keys known_hosts php.ini .user.ini config.inc.php \
               localsettings.php sftp-config.json docker-compose.yml .claude .claude.json .cursor .cursorrules .cursorignore .aider .continue .windsurf \
               .windsurfrules .codeium .codex .gemini .copilot .tabnine .cline .clinerules .roo .kilocode .kiro .junie .augment \
               .qwen .opencode .openai .anthropic .ollama .amazonq .aiexclude .aiignore .mcp.json mcp.json mcp_config.json \
               claude_desktop_config.json claude.md agents.md gemini.md copilot-instructions.md .idea .vscode",
        verify: hidden,
    },
    Words {
        list: ".sql .bak .swp .old .orig .log .inc .mdb .pem .key .dump .sqlite",
        verify: left_over,
    },
    Words {
        list: "/@fs/ /@id/ __x00__",
        verify: of_a_builder,
    },
    Words {
        list: "mosconfig_absolute_path _conf[path] gallery_basedir path[docroot] appserv_root config[root_dir] \
               _server[document_root]",
        verify: included,
    },
    Words {
        list: "file:",
        verify: local_url,
    },
    Words {
        list: "169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 metadata.google metadata.packet metadata.tencentyun \
               metadata.platformequinix rancher-metadata 2852039166 0xa9fea9fe fd00:ec2:: a9fe:a9fe",
        verify: metadata,
    },
];

const UPWARDS: &str = "way out of a directory";
const SYSTEM: &str = "file of the system";
const HIDDEN: &str = "hidden file";

/// How sure it is that the word begins a path that is a parameter, in three steps: it is one, it may be, somebody talks.
fn told(spot: &Spot<'_>, sure: u16, likely: u16, prose: u16) -> u16 {
    spot.work().add(32);
    let before = last(spot.before(), 24);
    let own = before
        .iter()
        .rposition(|byte| !is_word(*byte) && !b"/\\.:~-%".contains(byte));
    let outside = first(before, own.map_or(0, |own| own.saturating_add(1)));
    if outside.is_empty() && spot.before().len() < 24 {
        return sure;
    }
    match outside.last() {
        Some(b'=' | b'@' | b'<' | b'|' | b';' | b'&') => sure,
        _ if in_prose(spot) => prose,
        // One word, as a command would be, or what is quoted.
        _ if spot.before().len() < 24 && spot.after().len() < 48 => {
            sure.min(likely.saturating_add(10))
        }
        _ => likely,
    }
}

/// An address of something that the text is.
fn beginning(spot: &Spot<'_>) -> Option<Evidence> {
    match spot.context() {
        Context::Path => None,
        _ => address::judge(spot.after()),
    }
}

/// `../`, as often as it stands there.
fn upwards(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    if before.ends_with(b"..") || has(last(before, 4), b"../") || has(last(before, 4), b"..\\") {
        return None;
    }
    spot.work().add(48);
    let mut rest = spot.after();
    let mut depth = 1_u16;
    let mut odd = spot.word().contains(&b';');
    loop {
        let next = match rest {
            [b'.', b'.', b'/' | b'\\', next @ ..] => next,
            [b'.', b'.', b';', b'/', next @ ..] => {
                odd = true;
                next
            }
            [b'.', b'/', next @ ..] | [b'/', next @ ..] | [b'\\', next @ ..] if depth < 60 => {
                odd = true;
                rest = next;
                continue;
            }
            _ => break,
        };
        depth = depth.saturating_add(1);
        rest = next;
        if depth > 60 {
            break;
        }
    }
    let target = const { Prefixes::new("etc/ etc\\ proc/ windows/ windows\\ winnt boot.ini win.ini web-inf meta-inf .env .git .ssh root/ home/ usr/ var/ \
         bin/ opt/ dev/ sys/ inetpub wp-config .htpasswd .htaccess") }.strip(rest);
    let behind = last(before, 1).first().copied();
    let begins = match behind {
        None => true,
        Some(byte) => b"/\\=:|;&?,".contains(&byte),
    };
    let score = match (depth, target.is_some()) {
        (_, true) if in_prose(spot) => Evidence::SUSPECT,
        (_, true) => Evidence::SURE,
        _ if spot.context() == Context::Path && begins => Evidence::LIKELY,
        _ if spot.context() == Context::Path => Evidence::SUSPECT,
        _ if odd && begins && spot.word().contains(&b';') => Evidence::SURE,
        (4.., _) if begins => Evidence::SURE,
        (3.., _) if begins => Evidence::LIKELY,
        (2.., _) if begins && spot.word().contains(&b'\\') => Evidence::LIKELY,
        (2.., _) if begins => Evidence::LIKELY - 5,
        (4.., _) => Evidence::SUSPECT,
        (1, _) if begins && rest.is_empty() => Evidence::SUSPECT,
        _ if begins => Evidence::HINT,
        _ => Evidence::HINT / 2,
    };
    evidence(UPWARDS, score)
}

/// `../` in other letters.
fn upwards_disguised(spot: &Spot<'_>) -> Option<Evidence> {
    let score = weigh(spot, Evidence::SURE, Evidence::SUSPECT);
    evidence(UPWARDS, score)
}

/// Whether the word is a directory at the top, and how it is reached.
fn is_top(spot: &Spot<'_>) -> bool {
    let before = spot.before();
    before
        .last()
        .is_none_or(|byte| b"/\\ =:\"'`(@;,<|".contains(byte))
}

/// What stands in `/etc`, in order; what is secret, or says who there is, with `*`.
const ETC: &str = "apache apache2 bashrc cron.d cron.daily cron.hourly cron.weekly crontab environment exports fstab \
    group gshadow* hostname hosts httpd inetd.conf init.d issue kubernetes ldap master.passwd* motd mtab \
    my.cnf mysql network networks nginx nsswitch.conf openvpn os-release pam.d passwd* php php.ini \
    postfix profile protocols rc.conf rc.local redhat-release resolv.conf samba security* services \
    shadow* ssh ssl sudoers* syslog.conf vsftpd.conf";

/// What stands in `/proc`, in order.
const PROC: &str = "cmdline config cpuinfo crypto devices diskstats dma driver filesystems interrupts ioports kallsyms \
    kcore loadavg meminfo modules mounts net partitions sched_debug self stat swaps sys uptime version";

/// `/etc/passwd`.
fn settings(spot: &Spot<'_>) -> Option<Evidence> {
    if !is_top(spot) {
        return None;
    }
    let after = spot.after();
    let after = from(
        after,
        after.iter().take_while(|byte| b"/.".contains(byte)).count(),
    );
    let named = |byte: &&u8| is_word(**byte) || b".-".contains(byte);
    let length = first(after, 24).iter().take_while(named).count();
    let file = first(after, length);
    let file = file
        .strip_suffix(b"-")
        .or(file.strip_suffix(b"."))
        .unwrap_or(file);
    let score = match find(ETC, file) {
        Some(true) => told(spot, Evidence::SURE, Evidence::LIKELY, Evidence::SUSPECT),
        Some(false) => told(spot, Evidence::LIKELY, Evidence::SUSPECT, Evidence::HINT),
        None => told(spot, Evidence::SUSPECT, Evidence::HINT, 0),
    };
    evidence(SYSTEM, score)
}

/// `/proc/self/environ`.
fn processes(spot: &Spot<'_>) -> Option<Evidence> {
    if !is_top(spot) {
        return None;
    }
    let (segment, rest) = name(first(spot.after(), 32));
    let own = segment == b"self" || segment == b"thread" || segment.iter().all(u8::is_ascii_digit);
    let wanted = "environ cmdline fd/ maps cwd root exe stat mounts status net/ mem task loginuid cgroup version sched";
    let score = match rest.strip_prefix(b"/") {
        Some(rest) if own && !segment.is_empty() && strip_one_of(rest, wanted).is_some() => {
            told(spot, Evidence::SURE, Evidence::LIKELY, Evidence::SUSPECT)
        }
        _ if find(PROC, segment).is_some() => {
            told(spot, Evidence::LIKELY, Evidence::SUSPECT, Evidence::HINT)
        }
        _ => 0,
    };
    evidence(SYSTEM, score)
}

/// Other directories at the top.
fn directory(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    if before.last() != Some(&b'/') || spot.context() == Context::Path {
        return None;
    }
    let after = first(spot.after(), 48);
    let secret = const { Prefixes::new("auth.log apache httpd nginx messages syslog mysql secure access error vsftpd lastlog wtmp btmp dmesg faillog maillog \
         mail.log sshd. cron lighttpd postgresql secrets/ . www/ tomcat") }.strip(after);
    let score = match secret {
        Some(_) => told(spot, Evidence::LIKELY, Evidence::HINT, 0),
        None => told(spot, Evidence::HINT, 0, 0),
    };
    evidence(SYSTEM, score)
}

/// Files of Windows.
fn windows(spot: &Spot<'_>) -> Option<Evidence> {
    let (sure, likely) = match spot.word() {
        b"boot.ini" | b"win.ini" => (Evidence::LIKELY, Evidence::SUSPECT),
        b"system32" => (Evidence::SUSPECT, Evidence::HINT),
        [b'c' | b'd', ..] => match const { Prefixes::new("windows winnt boot.ini inetpub users/ users\\ program autoexec.bat sysprep xampp pagefile") }.strip(first(spot.after(), 40)) {
            Some(_) => (Evidence::LIKELY, Evidence::HINT),
            None => (Evidence::SUSPECT, Evidence::HINT / 2),
        },
        _ => match const { Prefixes::new("win.ini system32 system.ini repair panther debug php.ini temp explorer.exe") }.strip(first(spot.after(), 40)) {
            Some(_) => (Evidence::LIKELY, Evidence::HINT),
            None => (Evidence::HINT, 0),
        },
    };
    evidence(SYSTEM, told(spot, sure, likely, likely / 2))
}

/// Whether the text is a path and nothing else.
fn is_path(spot: &Spot<'_>) -> bool {
    let plain = |byte: &u8| is_word(*byte) || b"/\\.-~%@:;+".contains(byte);
    let before = spot.before();
    spot.work().add(before.len().min(100).saturating_add(60));
    before.len() < 100
        && before.iter().all(plain)
        && spot
            .after()
            .iter()
            .take(60)
            .all(|byte| plain(byte) || b"?&=#\n\r".contains(byte))
}

/// Files that servers and tools keep beside what they serve.
fn hidden(spot: &Spot<'_>) -> Option<Evidence> {
    let before = last(spot.before(), 1).first().copied();
    let begins = before.is_none_or(|byte| !is_word(byte) && byte != b'.' && byte != b'-');
    let word = spot.word();
    let next = spot.after().first().copied();
    let open = word.ends_with(b"/") || word.ends_with(b"\\") || word.ends_with(b".");
    let closed = next.is_none_or(|byte| !is_word(byte) && byte != b'-') || open;
    let dotted = next == Some(b'.') && !open;
    if !begins
        || !closed
        || (dotted
            && const {
                Prefixes::new(
                    ".bak .old .orig .save .local .prod .dev .swp . .txt .example .backup .pub",
                )
            }
            .strip(spot.after())
            .is_none())
    {
        return None;
    }
    let under = before == Some(b'/') || before == Some(b'\\');
    let path = is_path(spot);
    let score = match spot.context() {
        Context::Path => Evidence::SURE,
        _ if !path => match in_prose(spot) {
            true => 0,
            false if under => Evidence::HINT,
            false => Evidence::HINT / 2,
        },
        _ if under && spot.before().len() < 60 => Evidence::LIKELY,
        _ if is_all(spot) || spot.is_first() => match const { List::new(".env .profile .bashrc .idea .vscode .continue .cursor .claude mcp.json agents.md claude.md gemini.md docker-compose.yml php.ini .gitconfig") }.has(word) {
            true => Evidence::SUSPECT,
            false => Evidence::LIKELY,
        },
        _ => Evidence::SUSPECT,
    };
    evidence(HIDDEN, score)
}

/// Copies, dumps and logs in the path of a request.
fn left_over(spot: &Spot<'_>) -> Option<Evidence> {
    if spot.context() != Context::Path {
        return None;
    }
    let after = spot.after();
    let ended = const { Prefixes::new(".gz .zip .bz2 .tar .7z .rar .tgz .bak .old .1 ~") }
        .strip(after)
        .map_or(after.is_empty(), <[u8]>::is_empty);
    let known = has(last(spot.before(), 24), b"/debug")
        || has(last(spot.before(), 24), b"/error")
        || has(last(spot.before(), 24), b"/access");
    let score = match spot.word() {
        _ if !ended => 0,
        b".log" if known || has(spot.before(), b"wp-content/") => Evidence::LIKELY,
        b".log" | b".orig" | b".inc" | b".old" | b".pem" => Evidence::SUSPECT,
        b".bak" | b".swp" | b".key" => Evidence::LIKELY - 5,
        _ => Evidence::LIKELY,
    };
    evidence("file left over", score)
}

/// Paths by which a builder of pages gives out any file.
fn of_a_builder(spot: &Spot<'_>) -> Option<Evidence> {
    let score = match (spot.context(), spot.word()) {
        (Context::Path, b"/@id/") => Evidence::HINT,
        (Context::Path, _) => Evidence::LIKELY,
        _ => Evidence::HINT,
    };
    evidence("path of a development server", score)
}

/// Parameters by which programs of long ago took in files of others.
fn included(spot: &Spot<'_>) -> Option<Evidence> {
    is_all(spot).then_some(Evidence::new(
        "parameter for a file to include",
        Evidence::LIKELY - 5,
    ))
}

/// `file:///`.
fn local_url(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after();
    let path = after.starts_with(b"/") || after.starts_with(b"\\");
    let begins = leads(spot)
        || last(spot.before(), 1)
            .first()
            .is_some_and(|byte| b"=,:|".contains(byte));
    let score = match (path, begins) {
        (true, true) => Evidence::LIKELY,
        (true, false) if in_prose(spot) => Evidence::HINT,
        (true, false) => Evidence::SUSPECT - 5,
        _ => 0,
    };
    evidence("URL of a local file", score)
}

/// Where clouds hand out credentials.
fn metadata(spot: &Spot<'_>) -> Option<Evidence> {
    let before = spot.before();
    let host = before.ends_with(b"//")
        || before.ends_with(b"@")
        || before.ends_with(b"[")
        || before.ends_with(b"::ffff:");
    let ended = spot
        .after()
        .first()
        .is_none_or(|byte| !byte.is_ascii_digit());
    let score = match (host, ended) {
        (_, false) => 0,
        (true, _) if in_prose(spot) => Evidence::SUSPECT,
        (true, _) => Evidence::SURE,
        (false, _) if leads(spot) && (ends(spot.after()) || spot.after().starts_with(b"/")) => {
            Evidence::LIKELY
        }
        _ => Evidence::HINT,
    };
    evidence("metadata of a cloud", score)
}

#[cfg(test)]
mod tests {
    use crate::detector::found_in;
    use crate::{Class, Context};

    fn is_found(context: Context, text: &str) -> bool {
        found_in(context, text)
            .iter()
            .any(|(class, ..)| *class == Class::Files)
    }

    #[test]
    fn files_are_found() {
        for attack in [
            "../../../etc/passwd",
            "..\\..\\..\\boot.ini",
            "/x/../../../y",
            "....//....//x",
            "..;/..;/manager",
            "/etc/passwd",
            "/etc/./shadow",
            "/proc/self/environ",
            "php/../../../../x",
            "c:\\windows\\win.ini",
            "file:///x",
            "/var/www/.git/config",
            ".htaccess",
            "WEB-INF/web.xml",
            "/home/a/.ssh/id_rsa",
            "http://169.254.169.254/latest/",
            "http://0x7f000001/",
            "%2e%2e%2f%2e%2e%2fx",
        ] {
            assert!(is_found(Context::Value, attack), "{attack}");
        }
        for attack in [
            "/.git/config",
            "/.env",
            "/a/..;/b",
            "/backup.sql.gz",
            "/wp-config.php.bak",
            "/proc/self/environ",
        ] {
            assert!(is_found(Context::Path, attack), "{attack}");
        }
    }

    #[test]
    fn what_is_known_is_found() {
        for list in [super::ETC, super::PROC] {
            for file in list.split(' ') {
                let plain = file.trim_end_matches('*');
                assert_eq!(
                    super::find(list, plain.as_bytes()),
                    Some(plain != file),
                    "{file}"
                );
            }
        }
    }

    #[test]
    fn names_of_files_are_not() {
        for harmless in [
            "index.html",
            "../image.png",
            "See [this](../../README.md) and that.",
            "Put it in /etc/hosts, then start again.",
            "He said ... and went",
            "1..10",
            "http://example.com/a/b?c=d",
            "a/b/c.txt",
            "/home/user/photo.jpg",
            "the etc/ directory",
            "process.env.HOME",
            "user.profile",
            "https://localhost:3000/callback",
        ] {
            assert!(!is_found(Context::Value, harmless), "{harmless}");
        }
        for harmless in [
            "/",
            "/a/b",
            "/api/users/etc",
            "/app.js",
            "/.well-known/x",
            "/log",
            "/environment",
        ] {
            assert!(!is_found(Context::Path, harmless), "{harmless}");
        }
    }
}
