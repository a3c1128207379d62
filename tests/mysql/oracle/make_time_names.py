#!/usr/bin/python3
"""Writes common/mysql/functions/time_names_table.cpp: the names of months and days in the locales of MySQL's manual (12.16, "MySQL
Server Locale Support"), as a live server's DATE_FORMAT(date, format, locale) tells them.

usage: make_time_names.py > common/mysql/functions/time_names_table.cpp
"""
import run
import server

LOCALES = """ar_AE ar_BH ar_DZ ar_EG ar_IN ar_IQ ar_JO ar_KW ar_LB ar_LY ar_MA ar_OM ar_QA ar_SA ar_SD ar_SY ar_TN ar_YE be_BY bg_BG ca_ES cs_CZ da_DK
de_AT de_BE de_CH de_DE de_LU el_GR en_AU en_CA en_GB en_IN en_NZ en_PH en_US en_ZA en_ZW es_AR es_BO es_CL es_CO es_CR es_DO es_EC es_ES es_GT
es_HN es_MX es_NI es_PA es_PE es_PR es_PY es_SV es_US es_UY es_VE et_EE eu_ES fi_FI fo_FO fr_BE fr_CA fr_CH fr_FR fr_LU gl_ES gu_IN he_IL hi_IN
hr_HR hu_HU id_ID is_IS it_CH it_IT ja_JP ko_KR lt_LT lv_LV mk_MK mn_MN ms_MY nb_NO nl_BE nl_NL no_NO pl_PL pt_BR pt_PT rm_CH ro_RO ru_RU ru_UA
sk_SK sl_SI sq_AL sr_RS sv_FI sv_SE ta_IN te_IN th_TH tr_TR uk_UA ur_PK vi_VN zh_CN zh_HK zh_TW""".split()
MONTHS = [f"2001-{month:02}-01" for month in range(1, 13)]
DAYS = [f"2001-01-{day:02}" for day in range(1, 8)]  # the 1st was a Monday
HEAD = """// Made by tests/mysql/oracle/make_time_names.py: do not edit.
#include "common/mysql/functions/time_names.hpp"

namespace marmot::mysql {

namespace {
constexpr TimeNames kTable[] = {
    // locales; months, months abbreviated, days from Monday, days abbreviated"""


def main():
    with server.Server() as live:
        connection = live.connect()

        def names(locale, form, dates):
            return "|".join(run.ask_server(connection, f"DATE_FORMAT('{date}', '{form}', '{locale}')")[1] for date in dates)

        rows = {}
        for locale in ["en_US"] + LOCALES:
            row = names(locale, "%M", MONTHS), names(locale, "%b", MONTHS), names(locale, "%W", DAYS), names(locale, "%a", DAYS)
            rows.setdefault(row, []).append(locale)
    print(HEAD)
    for row, locales in rows.items():
        fields = [" ".join(dict.fromkeys(locales)), *row]
        print("    {" + ",\n     ".join(f'"{field}"' for field in fields) + "},")
    print("};\n}  // namespace\n\nstd::span<const TimeNames> time_names_table() { return kTable; }\n\n}  // namespace marmot::mysql")


if __name__ == "__main__":
    main()
