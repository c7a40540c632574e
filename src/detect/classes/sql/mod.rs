//! Statements of a database: what is evidence is that a literal is left and a statement goes on, or that a statement
//! begins. Words alone are none; people write them.

mod calls;
mod clauses;
mod expressions;
mod statements;
#[cfg(test)]
mod tests;
mod tokens;

use super::Words;

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "' \" `",
        verify: expressions::left_literal,
    },
    Words {
        list: "or and xor || && having where when",
        verify: expressions::condition,
    },
    Words {
        list: "'{ '[ \"{ \"[ ",
        verify: expressions::json_operator,
    },
    Words {
        list: ".e(  .e. .e,",
        verify: clauses::hidden_name,
    },
    Words {
        list: "is in like between regexp rlike glob order group procedure",
        verify: clauses::clause,
    },
    Words {
        list: "[$ $",
        verify: clauses::document_operator,
    },
    Words {
        list: "2.2250738585072007e-308 2.2250738585072011e-308 0000012345 0000023456 1e309 1.0e309 2147483648 2147483647 4294967295 4294967296 2147483649 18446744073709551616 9223372036854775808",
        verify: clauses::magic_number,
    },
    Words {
        list: "union intersect except minus",
        verify: statements::union,
    },
    Words {
        list: "select",
        verify: statements::select,
    },
    Words {
        list: "insert update delete drop alter create truncate replace merge rename exec execute declare shutdown grant revoke \
               waitfor load handler call set desc describe attach goto do backup restore dbcc use values from as into if case",
        verify: statements::statement,
    },
    Words {
        list: "/*! /*+",
        verify: statements::version_comment,
    },
    Words {
        list: "information_schema pg_catalog pg_user pg_shadow pg_tables pg_database sysobjects syscolumns sysusers sysdatabases \
               sqlite_master sqlite_temp_master sqlite_schema msysaccessobjects msysaces msysobjects msysqueries \
               msysrelationships msysaccessstorage msysaccessxml msysmodules msysmodules2 msysimexcolumns mysql.db mysql.user \
               mysql.innodb_table_stats all_tables all_users user_tables user_tab_columns user_users user_objects \
               user_constraints user_ind_columns user_indexes user_triggers user_tablespaces user_group user_password \
               tab_columns all_tab_columns dba_users sys.tables sys.databases sys.user_tables sys.objects syscat sysibm \
               master.. master.dbo northwind tempdb msdb table_name column_name schema_name table_schema attnotnull \
               attrelid attypid pg_attribute pg_class rownum database_principals column_id mb_users object_id object_name \
               object_type session_user sql_variant",
        verify: calls::catalogue,
    },
    Words {
        list: "@@version @@datadir @@hostname @@basedir @@global @@session @@servername @@spid @@language @@rowcount \
               @@identity @@tmpdir @@version_comment",
        verify: calls::server_variable,
    },
    Words {
        list: "xp_ sp_ dbms_ utl_ sys.xp_ ctxsys. pg_sleep pg_read_file pg_ls_dir lo_import lo_export lo_get lo_put \
               benchmark sleep extractvalue updatexml load_file group_concat xmltype load_extension randomblob zeroblob \
               sqlite_compileoption sqlite_version json_extract json_depth json_keys json_array_length json_quote \
               json_valid openrowset opendatasource openquery dblink query_to_xml database_to_xml fn_virtualfilestats \
               generate_series make_set find_in_set name_const geometrycollection polygon multipoint gtid_subset \
               exp(~ current_setting set_config master_pos_wait is_srvrolemember is_member",
        verify: calls::strong_call,
    },
    Words {
        list: "abs acos ascii asin atan atan2 avg aes_encrypt aes_decrypt ascii_bin bin bit_and bit_length bit_or cast ceil \
               ceiling char char_length character_length charset chr coalesce coercibility collation compress concat \
               concat_ws connection_id conv convert convert_tz cos count cot crc32 curdate current_date current_time \
               current_timestamp current_user curtime database date date_add date_format date_sub day dayname db_name decode \
               decrypt degrees des_encrypt dump elt encode encrypt exists exp field floor format from_base64 from_days \
               from_unixtime get_lock greatest hex host_name hour iif ifnull inet_aton instr isnull last last_insert_id lcase \
               least left len length ln local localtimestamp locate log log10 log2 lower lpad ltrim max md5 mid min minute \
               mod month monthname now nullif oct octet_length ord password period_add pi position pow power quote \
               quotename radians rand random regexp_replace repeat replace reverse right round row_count rpad rtrim \
               schema second sha sha1 sha2 sign sin soundex space sqrt starts_with std stddev strcmp strftime subdate \
               substr substring substring_index sum suser_sname sysdate system_user tan to_base64 to_char to_days \
               to_number to_seconds trim truncate ucase uncompress unhex unicode unistr unix_timestamp upper user user_id \
               user_name utc_date uuid uuid_short values var_pop variance version week weekday year yearweek xmlelement \
               nvarchar varchar tinyint dual lead lag",
        verify: calls::call,
    },
];
