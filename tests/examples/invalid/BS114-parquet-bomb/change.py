"""What this example does to a copy of the valid dataset."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def change(folder: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["x" * (3 << 20)]))
    rows = pa.table({"id": pa.array(range(1_000), pa.int64()), "text": texts})
    pq.write_table(rows, folder / "rows.parquet", compression="zstd", store_schema=False)
