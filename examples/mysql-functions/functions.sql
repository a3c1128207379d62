.load libmarmot
.mode list
.separator "\n" "\n"
SELECT DATE_FORMAT('2026-11-21', '%W %D %M %Y'), SUBSTRING_INDEX('a.b.c', '.', 2), SHA2('x', 256);
