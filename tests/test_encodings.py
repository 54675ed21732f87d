"""Texts of other countries: readers/encodings.py."""

from __future__ import annotations

import pytest

from readers.dialect import Dialect
from readers.encodings import encoding_of
from readers.files import open_table, read_cells

OTHERS = {
    "cp932": "日付,時刻,実績(万kW),使用率(%)",
    "euc_jp": "エリア需要,原子力,揚水,風力",
    "gb18030": "交易日期,开盘价,最高价,温度(℃)",
    "big5": "日期,成交股數,成交金額,開盤價",
    "cp949": "날짜,기온(°C),강수량(mm),습도",
    "cp1250": "Čas;Příkon;Teplota_ž",
    "cp1251": "Дата;Выработка, МВт;Потребление",
    "koi8-r": "Дата;Цена;Объём торгов",
    "cp866": "Дата;температура;влажность",
    "cp1253": "Ημερομηνία;Θερμοκρασία;Υγρασία",
    "cp1255": "תאריך,טמפרטורה,לחות,x",
    "cp1256": "التاريخ,المبيعات,x,y",
}
WESTERN = {
    "French": ("cp1252", "Périmètre;Prévision J-1;Éolien;TEMPÉRATURE °C"),
    "German": ("latin-1", "Straße;Größe;µg/m³;°C;Zählerstände für Übernachtungen"),
    "units": ("latin-1", "date,Temp (°C),PM10 (µg/m³),flow (m³/s)"),
    "Swedish": ("latin-1", "Lufttemperatur;Höjd;Kvalitet åäö"),
    "Faroese and Estonian": ("cp1252", "Dagfesting;Vindferð;Rørsla;Õhutemperatuur;Võimsus"),
    "Portuguese": ("cp1252", "Pressões médias;Potência;Vibrações;Temperatura às 9 h"),
    "Catalan": ("cp1252", "Període;Energia elèctrica;Mínima;Màxima"),
    "Italian": ("cp1252", "Venerdì;Quantità;Più;È;Umidità"),
    "Danish": ("cp1252", "Tidspunkt;Forbrug på målepunkt;Strøm;Ø"),
    "French, too": ("cp1252", "Année;Coût;Août;Réseau;Cœur;m³ moyen;Où;Maïs;Dû à"),
    "Spanish": ("cp1252", "Año;Energía;Días;Número;¿Cuánto?"),
    "Turkish": ("cp1254", "Tarih;Sıcaklık;Yağış"),
    "quotes": ("cp1252", "date,“Temp”,…"),
}


@pytest.mark.parametrize("encoding", OTHERS)
def test_a_text_of_a_country_is_read_in_its_encoding(encoding, tmp_path):
    lines = f"{OTHERS[encoding]}\n" + "2024-01-01,1,2,3\n" * 20
    (tmp_path / "x.csv").write_bytes(lines.encode(encoding))
    with open_table(tmp_path / "x.csv") as table:
        assert table.text.read().decode() == lines
    rows, notes = read_cells(tmp_path / "x.csv", Dialect())
    assert len(rows) == 21 and len(notes) == 1 and f"text, {encoding}; save it as UTF-8" in notes[0]


@pytest.mark.parametrize("which", WESTERN)
def test_a_western_text_is_none_of_these(which):
    encoding, line = WESTERN[which]
    assert encoding_of(f"{line}\n1,2,3\n".encode(encoding)) == ("", "")
    assert encoding_of(f"{line}\n1,2,3\n".encode()) == ("", "")


@pytest.mark.parametrize(
    "line",
    ["Datum;Spotřeba;Měsíc", "Rok;Výroba elektřiny;Ořez", "Data;Wartość;Zużycie;Średnia", "Godzina;Napięcie prądu;x",
     "Időpont;Hőmérséklet;Fogyasztás", "Dátum;Hűtés;Mérő"],
)  # fmt: skip
def test_czech_polish_and_hungarian_are_read_in_their_letters(line):
    text = f"{line}\n" + "2024-01-01;1;2\n" * 20
    assert encoding_of(text.encode("cp1250")) == ("cp1250", "Central European")
    assert encoding_of(text.encode()) == ("", "")


def test_characters_that_a_block_cuts_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("readers.encodings.BLOCK", 7)
    text = "日付,実績\n" + "".join(f"{k},値{k}\n" for k in range(50))
    (tmp_path / "x.csv").write_bytes(text.encode("cp932"))
    with open_table(tmp_path / "x.csv") as table:
        assert table.text.read().decode() == text
