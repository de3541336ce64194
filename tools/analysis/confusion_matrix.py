"""Draw the confusion matrix of a test, from the table of ``tools/test.py --out``.

python tools/analysis/confusion_matrix.py configs/dt1_penn_tiny.py scores.csv
"""

from mofm.utils.tool import run_tool

from pictures import check_folder, class_names, load_dataset, make_parser, save


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__, checkpoint=False)
    parser.add_argument('scores', help='CSV file with the columns label and prediction')
    args = parser.parse_args()
    from sklearn.metrics import confusion_matrix

    from mofm.evaluation.metrics.score_table import read_predictions
    from mofm.visualization import draw_confusion

    check_folder(args.out)
    try:
        labels, predictions = read_predictions(args.scores)
    except OSError as error:
        raise SystemExit(f'{args.scores}: {error.strerror}') from error
    except ValueError as error:
        raise SystemExit(str(error)) from None
    _, dataset = load_dataset(args)
    names = class_names(dataset, [*labels, *predictions])
    matrix = confusion_matrix(labels, predictions, labels=range(len(names)))
    save({'confusion_matrix': draw_confusion(matrix, names)}, args.out)


if __name__ == '__main__':
    run_tool(main)
