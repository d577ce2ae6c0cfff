"""Draw one pair: curves and images."""

from skymill.engine.job import run_job


def main(run):
    from skymill.aligned.pictures import choose_pair, draw_pair
    from skymill.aligned.write import read_series
    from skymill.engine.products import require_content
    from skymill.engine.tables import read_table
    from skymill.sdo.sample_images import files_of_sample, read_images

    table = read_table(run.intact("pairs"))
    row = choose_pair(table.select(["flags", "label", "steps_present", "sample_id"]).to_pandas())
    chosen = table.slice(row, 1)
    (pair,) = chosen.to_pylist()
    tensors = {path.stem: path for path in run.input.get("tensors") or []}
    images = None
    if tensors:
        group = tensors[pair["set"]]
        for path in files_of_sample(group, pair["row"]):
            require_content(path, run.digest(path))
        images = read_images(group, pair["row"])
    run.finish(draw_pair(pair, read_series(chosen, run.input.steps)[0], run.output.figure, images))


if __name__ == "__main__":
    run_job(main, snakemake)
