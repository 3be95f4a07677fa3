"""The table with which a report opens: what was measured, what was reached, in what unit."""


def lines(report):
    """(what, reached, unit) of the headline results of a report, as text."""
    results, found = report['results'], []
    own = report['estimator'] and number(report['estimator']['own_error']['mean'], 1)
    for add in (_gaze, _offset, _animation, _identity, _reconstruction, _twin, _distribution):
        add(results, found)
    found = [(what, reached, f'degrees (the estimator errs by {own})' if own and unit == 'degrees' and 'true' not in what else unit)
             for what, reached, unit in found]
    contained = results['containment']
    found.append(('pixels changed outside the eye boxes', f'{contained["changed_outside"]}', f'in {contained["outputs"]} outputs'))
    machine = report['machine']
    found.append(('correction of one face', f'{1000 * machine["speed"]["correct_one"]:.0f}', f'ms on {machine["cores"]} cores'))
    found.append(('size of the model', f'{report["model"]["size"]["bytes"] / 1e6:.1f}',
                  f'MB, {report["model"]["size"]["parameters"]:,} parameters'))
    return found


def number(value, digits=2):
    return '—' if value is None else f'{value:.{digits}f}'


def share(value):
    return '—' if value is None else f'{100 * value:.1f}'


def triple(values, digits=2):
    """mean, median and worst tail."""
    tail = 'p90' if 'p90' in values else 'p10'
    return ' / '.join(number(values[name], digits) for name in ('mean', 'median', tail))


def _gaze(results, found):
    if 'gaze' in results:
        block = results['gaze']
        for name, what in (('true', 'true angle to the camera'), ('before', 'estimated angle before correction'),
                           ('after', 'estimated angle after correction'), ('twin', 'estimated angle of a perfect correction (twins)'),
                           ('estimator_error_input', "the estimator's own error on these inputs")):
            found.append((f'{what}: mean / median / p90', triple(block[name]), 'degrees'))
        found.append(('mean after / mean before', number(block['ratio'], 3), ''))
        found.append(('angle smaller than before', share(block['smaller']), '% of the faces'))


def _offset(results, found):
    if 'iris_offset' in results:
        block = results['iris_offset']
        for when, what in (('before', 'before'), ('after', 'after'), ('at_camera', 'of X, who look at the camera')):
            found.append((f'iris offset {what}: mean / median / p90', triple(block[when], 3), 'eye widths'))
        found.append(('iris offset smaller than before', share(block['smaller']),
                      f'% of {block["before"]["faces"]} faces ({block["not_found"]} not found)'))


def _animation(results, found):
    if 'animation' in results:
        block = results['animation']
        found.append(('rank correlation of alpha and gaze, 0 to 1: mean / median / p10', triple(block['rank_correlation'], 3), ''))
        for name, what in (('within', 'alpha 0 to 1'), ('beyond', 'alpha -0.25 and 1.25')):
            found.append((f'achieved against intended gaze, {what}: mean / median / p90', triple(block[f'error_{name}_0_1']),
                          'degrees'))


def _identity(results, found):
    block = results['identity']
    if 'iris_de' in block:
        found.append(('iris colour, output to input: mean / median / p90', triple(block['iris_de']), 'ΔE (CIEDE2000)'))
        found.append(('the same of a perfect correction (twins)', triple(block['iris_de_floor']), 'ΔE'))
        found.append(('iris colour, output to twin', triple(block['iris_de_twin']), 'ΔE'))
    found.append(('skin colour, output to input: mean / median / p90', triple(block['skin_de']), 'ΔE'))
    if 'content_distance' in block:
        found.append(('content codes, output to input: mean / median / p90', triple(block['content_distance'], 3),
                      f'between different people: {number(block["content_distance_of_different_people"], 3)}'))


def _reconstruction(results, found):
    units = {'l1': 'grey levels', 'psnr': 'dB', 'ssim': '', 'ms_ssim': '', 'lpips': ''}
    for domain, what in (('x', 'held-out X, corrected'), ('y', 'held-out Y, animated with alpha 0')):
        for name, values in results['reconstruction'][domain].items():
            if name == 'psnr_boxes' or name == 'ssim_boxes' or name.startswith('lpips'):
                kind, _, where = name.rpartition('_')
                tail = 'p90' if 'p90' in values else 'p10'
                found.append((f'{what}: {kind.upper()}, {where}: mean / median / {tail}',
                              triple(values, 2 if kind == 'psnr' else 3), units[kind]))


def _twin(results, found):
    if 'twin' in results:
        for name, what in (('twin', 'corrected'), ('twin_untouched', 'untouched input')):
            found.append((f'difference to the twin in the boxes, {what}: mean / median / p90', triple(results['twin'][f'l1_{name}']),
                          'grey levels'))


def _distribution(results, found):
    for name, values in results.get('distribution', {}).items():
        kind, what = name.split('_')
        what = {'corrected': 'corrected Y', 'untouched': 'untouched Y'}[what]
        found.append((f'FID of {what} against X, {kind}', number(values['fid'], 1), ''))
        found.append((f'KID of {what} against X, {kind}', f'{number(values["kid"], 4)} ± {number(values["kid_std"], 4)}', ''))


def text(report):
    """The table and what was not computed, for a terminal."""
    rows = lines(report)
    widths = [max(len(row[k]) for row in rows) for k in range(2)]
    found = [f'{what:{widths[0]}}  {reached:>{widths[1]}}  {unit}'.rstrip() for what, reached, unit in rows]
    return '\n'.join(found + [f'{line["what"]}: not computed; {line["why"]}.' for line in report['not_computed']])
