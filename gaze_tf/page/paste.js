<script>
// a photo that is pasted goes where it would be dropped: into the tab that is open
document.addEventListener('paste', (event) => {
  const files = event.clipboardData?.files;
  const drop = [...document.querySelectorAll('.drop input[type=file]')].find((input) => input.closest('.drop').offsetParent);
  if (!files?.length || !drop) return;
  event.preventDefault();
  drop.files = files;
  drop.dispatchEvent(new Event('change', { bubbles: true }));
});
</script>
